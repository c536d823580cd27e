package asm

import (
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
)

// Instructions that Go's assembler does not know are written as words. These tests hold each of them against the
// mnemonic beside it: the definitions for every register and number that they take, and each use of one for what it is
// used with.

// instruction is a macro that stands for one word: #define NAME(params) WORD $(value) // text
//
// Those for amd64 take six bytes: #define NAME(params) LONG $(value); WORD $(rest) // text
type instruction struct {
	name   string
	params []string
	value  ast.Expr
	rest   ast.Expr
	text   string
}

var (
	definition = regexp.MustCompile(`^#define (\w+)\(([\w, ]*)\) (?:WORD \$\((.*)\)|LONG \$\((.*)\); WORD \$\((.*)\)) // (.+)$`)
	rawWord    = regexp.MustCompile(`\bWORD\s*\$`)
	rawData    = regexp.MustCompile(`(?m)^\s*(BYTE|WORD|LONG|QUAD)\s+\$.*$`)
)

// parseInstruction returns nil for a line that does not define one.
func parseInstruction(line string) (*instruction, error) {
	m := definition.FindStringSubmatch(line)
	if m == nil {
		return nil, nil
	}
	in := &instruction{name: m[1], params: strings.Split(strings.ReplaceAll(m[2], " ", ""), ","), text: m[6]}
	var err error
	if in.value, err = parser.ParseExpr(m[3] + m[4]); err == nil && m[5] != "" {
		in.rest, err = parser.ParseExpr(m[5])
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m[1], err)
	}
	return in, nil
}

// evaluate computes an expression of integers, with names from env.
func evaluate(e ast.Expr, env map[string]int64) (int64, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return evaluate(e.X, env)
	case *ast.BasicLit:
		return strconv.ParseInt(e.Value, 0, 64)
	case *ast.Ident:
		if v, ok := env[e.Name]; ok {
			return v, nil
		}
	case *ast.BinaryExpr:
		if left, ok := e.X.(*ast.BinaryExpr); ok && left.Op.Precedence() == e.Op.Precedence() && (left.Op != token.OR || e.Op != token.OR) {
			return 0, fmt.Errorf("%s after %s at %d: Go's assembler begins with the last of the two", e.Op, left.Op, e.Pos())
		}
		x, err := evaluate(e.X, env)
		if err != nil {
			return 0, err
		}
		y, err := evaluate(e.Y, env)
		if err != nil {
			return 0, err
		}
		switch e.Op {
		case token.ADD:
			return x + y, nil
		case token.SUB:
			return x - y, nil
		case token.MUL:
			return x * y, nil
		case token.QUO:
			if y != 0 {
				return x / y, nil
			}
		case token.AND:
			return x & y, nil
		case token.OR:
			return x | y, nil
		case token.XOR:
			return x ^ y, nil
		case token.SHL:
			if y >= 0 {
				return x << y, nil
			}
		case token.SHR:
			if y >= 0 {
				return x >> y, nil
			}
		}
	}
	return 0, fmt.Errorf("cannot evaluate %T at %d", e, e.Pos())
}

// check compares the word for some operands with the text for them.
func (in *instruction) check(operands []int64) error {
	if len(operands) != len(in.params) {
		return fmt.Errorf("%s takes %d operands, not %d", in.name, len(in.params), len(operands))
	}
	env := map[string]int64{}
	want := in.text
	for i, p := range in.params {
		env[p] = operands[i]
		want = regexp.MustCompile(`\b([BHSDQVXZ]|#|\[)`+p+`\b|(#|\[)`+p+`\b`).ReplaceAllString(want, fmt.Sprintf("${1}${2}%d", operands[i]))
	}
	word, err := evaluate(in.value, env)
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	if word < 0 || word > 1<<32-1 {
		return fmt.Errorf("%s%v is no word: %#x", in.name, operands, word)
	}
	var got string
	if in.rest == nil {
		got, err = disassemble(uint32(word))
	} else {
		var rest int64
		if rest, err = evaluate(in.rest, env); err != nil || rest < 0 || rest > 1<<16-1 {
			return fmt.Errorf("%s%v ends with no word: %#x: %v", in.name, operands, rest, err)
		}
		got, err = disassembleEVEX(uint32(word), uint16(rest))
	}
	if err != nil {
		return fmt.Errorf("%s%v is %#08x: %w", in.name, operands, word, err)
	}
	if plain(got) != plain(want) {
		return fmt.Errorf("%s%v is %#08x, which means %q, not %q", in.name, operands, word, got, want)
	}
	return nil
}

// disassemble says what a word means: as golang.org/x/arch does or, where that does not know it, as the encodings of
// the Arm Architecture Reference Manual for A-profile, DDI 0487, section C7.2, have it.
func disassemble(word uint32) (string, error) {
	var code [4]byte
	binary.LittleEndian.PutUint32(code[:], word)
	if inst, err := arm64asm.Decode(code[:]); err == nil {
		return inst.String(), nil
	}
	d, n, m := word&31, word>>5&31, word>>16&31
	switch {
	case word&0xffe0fc00 == 0b0_1_0_01110_10_0_00000_100101_00000_00000: // SDOT (vector): Q U size Rm Rn Rd
		return fmt.Sprintf("SDOT V%d.4S, V%d.16B, V%d.16B", d, n, m), nil
	case word&0xffc0f400 == 0b0_1_0_01111_10_0_00000_1110_0_0_00000_00000: // SDOT (by element): Q U size L M Rm H Rn Rd
		index := word>>11&1<<1 | word>>21&1
		return fmt.Sprintf("SDOT V%d.4S, V%d.16B, V%d.4B[%d]", d, n, m, index), nil
	case word&0xffe0fc00 == 0b0_1_0_01110_10_0_00000_101001_00000_00000: // SMMLA: U Rm B Rn Rd
		return fmt.Sprintf("SMMLA V%d.4S, V%d.16B, V%d.16B", d, n, m), nil
	}
	return "", fmt.Errorf("no known instruction")
}

// disassembleEVEX says what six bytes mean, as Intel's Architecture Instruction Set Extensions Programming Reference
// (319433), section "EVEX encoding", has it: 62, three bytes of prefix, the opcode, and ModR/M. The bits of register
// numbers in the prefix are inverted.
func disassembleEVEX(word uint32, rest uint16) (string, error) {
	p0, p1, p2 := byte(word>>8), byte(word>>16), byte(word>>24)
	opcode, modrm := byte(rest), byte(rest>>8)
	switch {
	case byte(word) != 0x62, p0&0b1100 != 0, p1&0b100 == 0:
		return "", fmt.Errorf("no EVEX prefix")
	case p0&0b11 != 2, p1>>7 != 0, p1&0b11 != 2, opcode != 0x52: // map 0F38, W0, F3
		return "", fmt.Errorf("no known instruction")
	case p2 != 0b0_10_0_0_000 && p2 != 0b0_10_0_1_000: // no zeroing, 512 bits, no broadcast, V', no mask
		return "", fmt.Errorf("not all of 512 bits")
	case modrm>>6 != 3:
		return "", fmt.Errorf("not of registers")
	}
	p0, p1, p2 = ^p0, ^p1, ^p2
	d := modrm>>3&7 | p0>>7<<3 | p0>>4&1<<4
	a := p1>>3&15 | p2>>3&1<<4
	b := modrm&7 | p0>>5&1<<3 | p0>>6&1<<4
	return fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", d, a, b), nil
}

var (
	hexNumber = regexp.MustCompile(`#0X([0-9A-F]+)`)
	sameTwice = regexp.MustCompile(`^ORR(V\d+\.16B),(V\d+\.16B),(V\d+\.16B)$`)
	noShift   = regexp.MustCompile(`^([SU])SHLL(2?)(V.*),#0$`)
	noOffset  = regexp.MustCompile(`,#0\]$`)
	stack     = regexp.MustCompile(`\[X31\b`)
)

// plain brings equal instructions into one form: aliases, spaces, ways to write a number.
func plain(text string) string {
	text = strings.ToUpper(strings.ReplaceAll(text, " ", ""))
	text = hexNumber.ReplaceAllStringFunc(text, func(s string) string {
		v, _ := strconv.ParseUint(s[3:], 16, 64)
		return fmt.Sprintf("#%d", v)
	})
	if m := sameTwice.FindStringSubmatch(text); m != nil && m[2] == m[3] {
		text = "MOV" + m[1] + "," + m[2]
	}
	text = noShift.ReplaceAllString(text, "${1}XTL${2}${3}")
	text = stack.ReplaceAllString(text, "[SP")
	return noOffset.ReplaceAllString(text, "]")
}

// operandRange returns the numbers that an operand can be.
func (in *instruction) operandRange(p string) (first, last, step int64) {
	if regexp.MustCompile(`[BHSDQVXZ]` + p + `\b`).MatchString(in.text) {
		return 0, 31, 1
	}
	var bits int64 // of an element of the result
	if m := regexp.MustCompile(`\.\d+([BHSD])`).FindStringSubmatch(in.text); m != nil {
		bits = map[string]int64{"B": 8, "H": 16, "S": 32, "D": 64}[m[1]]
	}
	mnemonic, _, _ := strings.Cut(in.text, " ")
	switch {
	case strings.HasPrefix(mnemonic, "LDR"):
		return 0, 8190, 2
	case strings.Contains(in.text, "["+p+"]"):
		return 0, 3, 1
	case strings.Contains(mnemonic, "SHLL"): // by less than what is widened
		return 0, bits/2 - 1, 1
	case strings.Contains(mnemonic, "SHR"), strings.HasPrefix(mnemonic, "SRI"):
		return 1, bits, 1
	}
	return 0, bits - 1, 1 // shifts to the left
}

func TestWordsMeanWhatTheySay(t *testing.T) {
	for pattern, least := range map[string]int{"*_arm64.*": 50, "*_amd64.*": 1} {
		found := 0
		for _, file := range sources(t, pattern) {
			for i, line := range strings.Split(read(t, file), "\n") {
				in, err := parseInstruction(line)
				if err != nil {
					t.Fatalf("%s:%d: %v", file, i+1, err)
				}
				if in == nil {
					if rawWord.MatchString(line) {
						t.Errorf("%s:%d: a word without its mnemonic: %s", file, i+1, line)
					}
					continue
				}
				found++
				if err := in.sweep(); err != nil {
					t.Errorf("%s:%d: %v", file, i+1, err)
				}
			}
		}
		if found < least {
			t.Fatalf("found only %d instructions in %s: is the pattern right?", found, pattern)
		}
	}
}

// sweep checks each operand in all its values, with the others at two of theirs.
func (in *instruction) sweep() error {
	for i, p := range in.params {
		first, last, step := in.operandRange(p)
		if last <= first {
			return fmt.Errorf("%s: operand %s has no range", in.name, p)
		}
		for v := first; v <= last; v += step {
			for _, end := range []bool{false, true} {
				operands := make([]int64, len(in.params))
				for j, q := range in.params {
					low, high, _ := in.operandRange(q)
					if operands[j] = low; end {
						operands[j] = high
					}
				}
				operands[i] = v
				if err := in.check(operands); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// TestWordsAreUsedRight expands the macros of every source, and checks each instruction with its operands: a number that
// is too large for its field would change another.
func TestWordsAreUsedRight(t *testing.T) {
	for pattern, least := range map[string]int{"*_arm64.s": 1000, "*_amd64.s": 50} {
		uses := 0
		for _, file := range sources(t, pattern) {
			if !strings.Contains(read(t, file), "WORD") && strings.Contains(file, "amd64") {
				continue
			}
			p := &preprocessor{t: t, macros: map[string]*macro{}, file: file, use: func(in *instruction, operands []int64) {
				uses++
				if err := in.check(operands); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}}
			p.include(file)
		}
		if uses < least {
			t.Fatalf("found only %d uses in %s", uses, pattern)
		}
	}
}

// TestCheckFindsMistakes: the checks above can fail.
func TestCheckFindsMistakes(t *testing.T) {
	for _, c := range []struct {
		line     string
		operands []int64
	}{
		{"#define X(d, n, m) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d)) // FSUB Vd.4S, Vn.4S, Vm.4S", []int64{1, 2, 3}},
		{"#define X(d, n, m) WORD $(0x4E20D400 | (n)<<16 | (m)<<5 | (d)) // FADD Vd.4S, Vn.4S, Vm.4S", []int64{1, 2, 3}},
		{"#define X(d, n, m) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d)) // FADD Vd.4S, Vn.4S, Vm.4S", []int64{32, 2, 3}},
		{"#define X(d, n, m, i) WORD $(0x4F80E000 | (i)<<21 | (m)<<16 | (n)<<5 | (d)) // SDOT Vd.4S, Vn.16B, Vm.4B[i]", []int64{1, 2, 3, 3}},
		{"#define X(d, n, m) WORD $(0x4E80A400 | (m)<<16 | (n)<<5 | (d)) // SDOT Vd.4S, Vn.16B, Vm.16B", []int64{1, 2, 3}},
		{"#define X(d, n, i) WORD $(0x6F000400 | (16-(i))<<16 | (n)<<5 | (d)) // USHR Vd.16B, Vn.16B, #i", []int64{1, 2, 9}},
		{"#define X(d, a, b) LONG $(0x480e1262); WORD $(0xc052) // VDPBF16PS Zd, Za, Zb", []int64{1, 2, 3}},
		{"#define X(d, a, b) LONG $(0x487ef262); WORD $(0xc052) // VDPBF16PS Zd, Za, Zb", []int64{0, 0, 8}},
		{"#define X(d, n, i) WORD $(0x7D400000 | ((i)/2)<<10 | (n)<<5 | (d)) // LDR Hd, [Xn, #i]", []int64{1, 2, 3}},
		{"#define X(d, n, i) WORD $(0x7D400000 | (i)/2<<10 | (n)<<5 | (d)) // LDR Hd, [Xn, #i]", []int64{1, 2, 4}},
	} {
		in, err := parseInstruction(c.line)
		if err != nil || in == nil {
			t.Fatalf("%s: %v", c.line, err)
		}
		if in.check(c.operands) == nil {
			t.Errorf("%v passes: %s", c.operands, c.line)
		}
	}
}

// TestEVEX holds the decoder against what another assembler makes of some instructions.
func TestEVEX(t *testing.T) {
	for _, c := range []struct {
		word uint32
		rest uint16
		text string
	}{
		{0x407eb262, 0xc452, "VDPBF16PS Z0, Z16, Z20"},
		{0x48664262, 0xe852, "VDPBF16PS Z29, Z3, Z8"},
		{0x40060262, 0xff52, "VDPBF16PS Z31, Z31, Z31"},
	} {
		if got, err := disassembleEVEX(c.word, c.rest); err != nil || got != c.text {
			t.Errorf("%#x %#x is %q, %v; want %q", c.word, c.rest, got, err, c.text)
		}
	}
}

// TestNoRawInstructions: there are none for amd64 beside the definitions above.
func TestNoRawInstructions(t *testing.T) {
	for _, file := range sources(t, "*_amd64.*") {
		if raw := rawData.FindString(read(t, file)); raw != "" {
			t.Errorf("%s: raw instruction: %s", file, raw)
		}
	}
}

func sources(t *testing.T, pattern string) (files []string) {
	t.Helper()
	for _, ext := range []string{"s", "h"} {
		found, err := filepath.Glob(strings.TrimSuffix(strings.TrimSuffix(pattern, ".s"), ".*") + "." + ext)
		if err != nil {
			t.Fatal(err)
		}
		if ext == "s" || strings.HasSuffix(pattern, ".*") {
			files = append(files, found...)
		}
	}
	if len(files) == 0 {
		t.Fatalf("no files %s", pattern)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// preprocessor expands macros as Go's assembler does.
type preprocessor struct {
	t      *testing.T
	macros map[string]*macro
	file   string
	use    func(in *instruction, operands []int64)
}

type macro struct {
	params []string // nil if it takes none
	body   string
	word   *instruction
}

var (
	defined = regexp.MustCompile(`(?s)^#define\s+(\w+)(\(([\w,\s]*)\))?(.*)$`)
	comment = regexp.MustCompile(`//.*`)
	name    = regexp.MustCompile(`[A-Za-z_]\w*`)
)

func (p *preprocessor) include(file string) {
	text := strings.ReplaceAll(read(p.t, file), "\\\n", "\x00")
	for _, line := range strings.Split(text, "\n") {
		in, _ := parseInstruction(line)
		line = strings.ReplaceAll(comment.ReplaceAllString(line, ""), "\x00", "\n")
		switch {
		case strings.HasPrefix(line, `#include "textflag.h"`), strings.HasPrefix(line, `#include "go_asm.h"`):
		case strings.HasPrefix(line, "#include"):
			p.include(strings.Trim(strings.TrimPrefix(line, "#include "), `"`))
		case strings.HasPrefix(line, "#define"):
			m := defined.FindStringSubmatch(line)
			if m == nil {
				p.t.Fatalf("%s: %s", file, line)
			}
			var params []string
			if m[2] != "" {
				params = strings.Split(strings.Join(strings.Fields(m[3]), ""), ",")
			}
			p.macros[m[1]] = &macro{params, m[4], in}
		default:
			p.expand(line, 0)
		}
	}
}

// expand returns text with all macros replaced, and reports instructions on the way.
func (p *preprocessor) expand(text string, depth int) string {
	if depth > 40 {
		p.t.Fatalf("%s: macros without end: %s", p.file, text)
	}
	var out strings.Builder
	for {
		at := name.FindStringIndex(text)
		if at == nil {
			out.WriteString(text)
			return out.String()
		}
		word := text[at[0]:at[1]]
		m := p.macros[word]
		out.WriteString(text[:at[0]])
		text = text[at[1]:]
		switch {
		case m == nil || m.params != nil && !strings.HasPrefix(text, "("):
			out.WriteString(word)
		case m.params == nil:
			out.WriteString(p.expand(m.body, depth+1))
		default:
			var arguments []string
			arguments, text = p.arguments(text)
			if len(arguments) != len(m.params) {
				p.t.Fatalf("%s: %s takes %d arguments, not %q", p.file, word, len(m.params), arguments)
			}
			if m.word != nil {
				p.use(m.word, p.operands(arguments, depth))
			} else {
				out.WriteString(p.expand(substitute(m, arguments), depth+1))
			}
		}
	}
}

// arguments splits what is in the parentheses at the start of text, and returns what follows.
func (p *preprocessor) arguments(text string) (list []string, rest string) {
	depth, from := 0, 1
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ',' && depth == 1:
			list, from = append(list, strings.TrimSpace(text[from:i])), i+1
		case c == ')':
			if depth--; depth == 0 {
				return append(list, strings.TrimSpace(text[from:i])), text[i+1:]
			}
		}
	}
	p.t.Fatalf("%s: no end of arguments: %s", p.file, text)
	return nil, ""
}

func substitute(m *macro, arguments []string) string {
	return name.ReplaceAllStringFunc(m.body, func(word string) string {
		for i, param := range m.params {
			if word == param {
				return arguments[i]
			}
		}
		return word
	})
}

func (p *preprocessor) operands(arguments []string, depth int) (values []int64) {
	for _, a := range arguments {
		e, err := parser.ParseExpr(p.expand(a, depth+1))
		if err == nil {
			var v int64
			if v, err = evaluate(e, nil); err == nil {
				values = append(values, v)
			}
		}
		if err != nil {
			p.t.Fatalf("%s: operand %q: %v", p.file, a, err)
		}
	}
	return values
}
