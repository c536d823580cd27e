package bench

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// hidden is a sentence that is put into a text, about so far on as a share of it. What is hidden at the same place stays in order.
type hidden struct {
	at   float64
	says string
}

// asked is a question about what is hidden, how the answer begins, and what is to occur in it.
type asked struct {
	question, begins string
	expected         []string
}

// riddle is what is hidden in a text, and what is asked.
type riddle struct {
	announced string // what the text is said to have in it
	hidden    []hidden
	asked     []asked
}

// NeedleKind is something that can be hidden in a text.
type NeedleKind struct {
	Name  string
	Title string
	// wordings is how many questions there are about the same: 0 where each is about something of its own.
	wordings int
	// make draws a riddle with a number of facts and of questions, of which what is asked for lies at a depth.
	make func(r *rand.Rand, depth float64, facts, questions int) riddle
}

// needleKinds are all there are. They are those of RULER (Hsieh et al. 2024, arXiv 2404.06654, section 3), in words of our own:
// number, word, keys and values are its needles with one key, with words, with several keys and with several values, and tracking its
// variables. passkey is that of Mohtashami and Jaggi 2023 (arXiv 2305.16300).
var needleKinds = []NeedleKind{
	{"number", "a number of a city, which is asked for", 0, func(r *rand.Rand, depth float64, _, questions int) riddle {
		return secrets(r, depth, questions, 0, "number", number)
	}},
	{"word", "the same with two words in place of a number", 0, func(r *rand.Rand, depth float64, _, questions int) riddle {
		return secrets(r, depth, questions, 0, "phrase", phrase)
	}},
	{"passkey", "a passkey, said twice", len(passkeyWordings), passkey},
	{"keys", "numbers of several cities, of which one is asked for", 0, func(r *rand.Rand, depth float64, facts, questions int) riddle {
		return secrets(r, depth, questions, facts-1, "number", number)
	}},
	{"values", "several numbers of a city, all asked for: the first at the depth, the others anywhere", len(valuesWordings), values},
	{"tracking", "a variable that is set at the depth, others that are later set to the one before, all asked for", len(trackingWordings), tracking},
}

// NeedleKinds lists what can be hidden in a text.
func NeedleKinds() []NeedleKind { return slices.Clone(needleKinds) }

// needleKind finds a kind by its name.
func needleKind(name string) (*NeedleKind, error) {
	var known []string
	for i := range needleKinds {
		if needleKinds[i].Name == name {
			return &needleKinds[i], nil
		}
		known = append(known, needleKinds[i].Name)
	}
	return nil, fmt.Errorf("there is no needle %q (there is: %s)", name, strings.Join(known, ", "))
}

var (
	cities = strings.Fields(`Accra Algiers Ankara Athens Baku Belgrade Bergen Berlin Bilbao Bogota Bristol Cairo Calgary Chicago Dakar
		Denver Dublin Geneva Genoa Glasgow Graz Hamburg Hanoi Havana Helsinki Jakarta Kyoto Lagos Lahore Leeds Lima Lisbon London Lyon
		Madrid Malaga Manila Milan Mumbai Munich Nairobi Naples Odessa Osaka Oslo Ottawa Paris Perth Porto Prague Quito Riga Rome
		Santiago Seoul Seville Sofia Stockholm Sydney Tallinn Tehran Tokyo Toronto Tunis Turin Utrecht Venice Vienna Vilnius Warsaw
		Wellington Zagreb Zurich`)
	firstWords  = strings.Fields(`amber brave bright broken calm clever cold crooked curious dusty early empty faint gentle golden hollow humble idle lazy little lonely loud lucky narrow noisy patient polite proud purple quiet rusty secret shy silver sleepy tall tired wild wooden young`)
	secondWords = strings.Fields(`anchor badger basket bridge candle carpet castle cellar clock cradle donkey falcon fiddle garden hammer harbor helmet island kettle ladder lantern lobster magnet meadow mirror needle orchard pebble pillow pirate rabbit saddle spider teapot tunnel turtle violin walnut window wizard`)
)

// number is one of seven digits.
func number(r *rand.Rand) string { return fmt.Sprint(1_000_000 + r.IntN(9_000_000)) }

// phrase is two words.
func phrase(r *rand.Rand) string {
	return firstWords[r.IntN(len(firstWords))] + " " + secondWords[r.IntN(len(secondWords))]
}

// several draws so many that differ.
func several(n int, draw func() string) (list []string) {
	for len(list) < n {
		if x := draw(); !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	return list
}

// MostFacts is how many facts a text may have, and questions: there is a city for each.
const MostFacts = 32

// secretWordings are questions for what a city has.
var secretWordings = []string{"What is the secret %s of %s?", "Which %s is the secret one of %s, as the text says?", "The text mentions a secret %s of %s. What is it?"}

// secrets hides something of as many cities as are asked for at the depth, and of others anywhere.
func secrets(r *rand.Rand, depth float64, questions, others int, what string, draw func(*rand.Rand) string) riddle {
	x := riddle{announced: "Secret " + what + "s are"}
	order := r.Perm(len(cities))
	first := r.IntN(len(secretWordings))
	for i, value := range several(questions+others, func() string { return draw(r) }) {
		city, at := cities[order[i]], depth
		if i >= questions {
			at = r.Float64()
		} else {
			wording := secretWordings[(first+i)%len(secretWordings)]
			x.asked = append(x.asked, asked{fmt.Sprintf(wording, what, city), fmt.Sprintf("The secret %s of %s is", what, city), []string{value}})
		}
		x.hidden = append(x.hidden, hidden{at, fmt.Sprintf("The secret %s of %s is %s.", what, city, value)})
	}
	return x
}

var passkeyWordings = []string{"What is the passkey?", "Which passkey does the text mention?", "You were to remember a passkey. Which one?"}

func passkey(r *rand.Rand, depth float64, _, questions int) riddle {
	key := fmt.Sprint(10_000 + r.IntN(90_000))
	x := riddle{announced: "A passkey is", hidden: []hidden{{depth, fmt.Sprintf("The passkey is %s. Remember it: %s is the passkey.", key, key)}}}
	x.ask(r, passkeyWordings, questions, "The passkey is", []string{key})
	return x
}

// ask asks for the same in several ways.
func (x *riddle) ask(r *rand.Rand, wordings []string, questions int, begins string, expected []string) {
	first := r.IntN(len(wordings))
	for i := range questions {
		x.asked = append(x.asked, asked{wordings[(first+i)%len(wordings)], begins, expected})
	}
}

var valuesWordings = []string{"What are all the secret numbers of %s?", "Which secret numbers does %s have, as the text says?", "The text mentions several secret numbers of %s. Which ones?"}

func values(r *rand.Rand, depth float64, facts, questions int) riddle {
	x := riddle{announced: "Secret numbers are"}
	city := cities[r.IntN(len(cities))]
	all := several(facts, func() string { return number(r) })
	for i, value := range all {
		at := depth
		if i > 0 {
			at = r.Float64()
		}
		x.hidden = append(x.hidden, hidden{at, fmt.Sprintf("One of the secret numbers of %s is %s.", city, value)})
	}
	var wordings []string
	for _, w := range valuesWordings {
		wordings = append(wordings, fmt.Sprintf(w, city))
	}
	x.ask(r, wordings, questions, fmt.Sprintf("The secret numbers of %s are", city), all)
	return x
}

var trackingWordings = []string{"Which variables have the value %s in the end?", "Name all variables that are set to %s, directly or by way of others.", "What variables hold %s at the end of the text?"}

// tracking hides a chain of variables from the depth on, and another one anywhere.
func tracking(r *rand.Rand, depth float64, facts, questions int) riddle {
	x := riddle{announced: "Assignments of variables are"}
	names := several(2*facts, func() string {
		return string([]byte{'A' + byte(r.IntN(26)), 'A' + byte(r.IntN(26)), '0' + byte(r.IntN(10))}) // no word of any text
	})
	numbers := several(2, func() string { return fmt.Sprint(10_000 + r.IntN(90_000)) })
	for chain, from := range []float64{depth, r.Float64()} {
		at := []float64{from}
		for range facts - 1 {
			at = append(at, from+(1-from)*r.Float64())
		}
		slices.Sort(at)
		for i, name := range names[chain*facts : (chain+1)*facts] {
			says := fmt.Sprintf("Variable %s is set to %s.", name, numbers[chain])
			if i > 0 {
				says = fmt.Sprintf("Variable %s is set to the value of variable %s.", name, names[chain*facts+i-1])
			}
			x.hidden = append(x.hidden, hidden{at[i], says})
		}
	}
	var wordings []string
	for _, w := range trackingWordings {
		wordings = append(wordings, fmt.Sprintf(w, numbers[0]))
	}
	x.ask(r, wordings, questions, fmt.Sprintf("The variables that have the value %s are", numbers[0]), names[:facts])
	return x
}

// wordingSum stands for what needles and questions are made of: trials with other words are other trials.
func wordingSum() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %q %q %q %q", cities, firstWords, secondWords, secretWordings, passkeyWordings, valuesWordings, trackingWordings)
	fmt.Fprintf(sum, "%q %q %d", preface, askingFrame, spareAnswer)
	for _, k := range needleKinds {
		fmt.Fprintf(sum, "%q", fmt.Sprint(k.Name, k.make(rand.New(rand.NewChaCha8([32]byte{})), .5, 4, len(secretWordings))))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
