package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

type benchJSON struct {
	Model    string `json:"model"`
	Bytes    int64  `json:"bytes"`
	Kernels  string `json:"kernels"`
	Threads  int    `json:"threads"`
	KVType   string `json:"kv_type"`
	KV       string `json:"kv"`
	KVBudget *int   `json:"kv_budget"`
	Method   string `json:"attention"`
	Repeat   int    `json:"repeat"`
	Roofline struct {
		ReadGBps  float64 `json:"read_gbps"`
		Int8GOPS  float64 `json:"int8_gops"`
		F32GFLOPS float64 `json:"f32_gflops"`
	} `json:"roofline"`
	Rows []struct {
		Test            string   `json:"test"`
		TokensPerSecond float64  `json:"tokens_per_second"`
		StdDev          *float64 `json:"stddev"`
		OfRoofline      float64  `json:"of_roofline"`
		Mass            float64  `json:"attention_mass"`
	} `json:"rows"`
}

// benchArgs measures the test model, and of the machine as little as there can be.
func benchArgs(t *testing.T, args ...string) []string {
	return append([]string{"bench", "-m", tinyModel(t), "--read-mib", "1"}, args...)
}

func TestBench(t *testing.T) {
	for _, c := range []struct {
		args []string
		rows string
	}{
		{[]string{"--repeat", "1"}, "pp512 tg32"},
		{[]string{"--prompt", "0", "-r", "2"}, "tg32"},
		{[]string{"--prompt", "4,9", "--gen", "2", "--depth", "0,130", "--repeat", "2", "--kv-type", "f32"}, "pp4 pp9 tg2 pp4@d130 pp9@d130 tg2@d130"},
		{[]string{"-p", "7", "-p", "8", "-n", "0", "-d", "50", "-r", "1", "--ctx", "58", "--cpu", "generic", "-t", "1"}, "pp7@d50 pp8@d50"},
	} {
		r := decode[benchJSON](t, succeed(t, benchArgs(t, append(c.args, "--json")...)...))
		var names []string
		for _, row := range r.Rows {
			names = append(names, row.Test)
			if row.TokensPerSecond <= 0 || row.OfRoofline <= 0 || row.StdDev == nil || *row.StdDev < 0 || row.Mass != 1 {
				t.Errorf("%v: %+v", c.args, row)
			}
		}
		if got := strings.Join(names, " "); got != c.rows {
			t.Errorf("%v: %s, want %s", c.args, got, c.rows)
		}
		if r.Roofline.ReadGBps <= 0 || r.Roofline.Int8GOPS <= 0 || r.Roofline.F32GFLOPS <= 0 {
			t.Errorf("%v: %+v", c.args, r.Roofline)
		}
		if r.Model != tinyModel(t) || r.Bytes <= 0 || r.Threads < 1 || r.Kernels == "" || r.KVType == "" || r.KV != "full" || r.Method != "full" || r.KVBudget == nil || *r.KVBudget != 0 || r.Repeat < 1 {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
}

func TestBenchPrintsTables(t *testing.T) {
	args := benchArgs(t, "--prompt", "4", "--gen", "2", "--depth", "0,3", "--repeat", "1")
	table, err := csv.NewReader(strings.NewReader(succeed(t, append(args, "--csv")...))).ReadAll()
	if err != nil || len(table) != 5 {
		t.Fatalf("%q, %v", table, err)
	}
	column := map[string]int{}
	for i, name := range table[0] {
		column[name] = i
	}
	for i, want := range []string{"pp4", "tg2", "pp4@d3", "tg2@d3"} {
		row := table[i+1]
		if row[column["test"]] != want || row[column["model"]] != tinyModel(t) {
			t.Errorf("row %q, want %s", row, want)
		}
		for _, name := range []string{"bytes", "threads", "tokens_per_second", "of_roofline", "attention_mass", "read_gbps", "int8_gops", "f32_gflops"} {
			at, ok := column[name]
			if !ok {
				t.Fatalf("no column %s in %q", name, table[0])
			}
			if x, err := strconv.ParseFloat(row[at], 64); err != nil || x <= 0 {
				t.Errorf("%s is %q", name, row[at])
			}
		}
	}
	out := succeed(t, args...)
	for _, want := range []string{"| test | tokens/s | ± | of roofline |\n|---|---:|---:|---:|\n| pp4 | ", "\n| tg2@d3 | ", "GB/s |", "GOPS |", "GFLOPS |", "kernels "} {
		if !strings.Contains(out, want) {
			t.Errorf("printed %q without %q", out, want)
		}
	}
}

// Measurements with a policy tell which, and can be told from others.
func TestBenchWithinABudget(t *testing.T) {
	for _, name := range []string{"window", "kvzip"} {
		flags := []string{"--kv", name, "--kv-budget", fmt.Sprint(budget)}
		args := benchArgs(t, append(flags, "--prompt", "40", "--gen", "2", "--depth", "0,70", "--repeat", "1", "--prefill-block", "16")...)
		r := decode[benchJSON](t, succeed(t, append(args, "--json")...))
		if r.KV != name || r.KVBudget == nil || *r.KVBudget != budget || len(r.Rows) != 4 {
			t.Errorf("%+v", r)
		}
		if out := succeed(t, args...); !strings.Contains(out, name+" with 32 rows") {
			t.Errorf("printed %q", out)
		}
		table, err := csv.NewReader(strings.NewReader(succeed(t, append(args, "--csv")...))).ReadAll()
		if err != nil || len(table) != 5 {
			t.Fatalf("%q, %v", table, err)
		}
		if kv, rows := slices.Index(table[0], "kv"), slices.Index(table[0], "kv_budget"); kv < 0 || rows < 0 || table[1][kv] != name || table[1][rows] != "32" {
			t.Errorf("%q, %q", table[0], table[1])
		}
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"--prompt", "0", "--gen", "0"}, "nothing to measure"},
		{[]string{"--prompt", "-1"}, "--prompt"},
		{[]string{"--gen", "5000000000"}, "--gen"},
		{[]string{"--prompt", "many"}, `invalid argument "many" for --prompt`},
		{[]string{"--prompt", ""}, "--prompt"},
		{[]string{"--depth", "-5"}, "--depth"},
		{[]string{"--depth", "1,2,"}, "--depth"},
		{[]string{"--repeat", "0"}, "--repeat is 0"},
		{[]string{"--read-mib", "0"}, "--read-mib is 0"},
		{[]string{"--read-mib", "1048577"}, "--read-mib is 1048577"},
		{[]string{"--ctx", "500"}, "needs 512"},
		{[]string{"--csv", "--json"}, "--csv and --json"},
		{[]string{"--kv-type", "q4_0"}, "--kv-type"},
		{[]string{"--cpu", "abacus"}, "abacus"},
		{[]string{"more"}, `unexpected argument "more"`},
	} {
		args := benchArgs(t, c.args...)
		refused(t, infer(args...), exitUsage, c.say, args)
	}
	refused(t, infer("bench"), exitUsage, "no model given", nil)
	for _, args := range [][]string{
		{"bench", "-m", "/none.gguf"},
		benchArgs(t, "--depth", "2147483000", "--gen", "1", "--prompt", "0"),
	} {
		if r := infer(args...); r.code != exitFailure || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

func TestBenchNeedsNoVocabulary(t *testing.T) {
	decode[benchJSON](t, succeed(t, "bench", "-m", mute(t), "--read-mib", "1", "--prompt", "3", "--gen", "2", "--repeat", "1", "--json"))
}

func TestInterruptWhileMeasuring(t *testing.T) {
	needSignals(t)
	for _, args := range [][]string{
		benchArgs(t, "--repeat", "1000000", "--json"),
		benchArgs(t, "--gen", "0", "--prompt", "1000000"),
	} {
		cmd := program(t, args...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // past looking at the command line
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := ends(t, cmd); code != exitFailure || stderr.String() != "infer: interrupted\n" || stdout.Len() != 0 {
			t.Errorf("%v: exit %d, stderr %q, stdout %.50q", args, code, stderr.String(), stdout.String())
		}
	}
}
