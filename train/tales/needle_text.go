package tales

// kindNames are what facts of each kind are about.
var kindNames = []string{"number", "hide", "give", "song", "look", "like", "have"}

// KindName says in a word what facts of a kind are about.
func KindName(kind int) string { return kindNames[kind] }
