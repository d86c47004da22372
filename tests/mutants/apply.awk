# Reads a list of mutants. -v check=1: says which do not apply, and how many do. -v names=1: lists name, file, how many tests
# must fail, and these. -v mutant=NAME: prints the file of that one with its fault in.
function text_of(file,    line, all)
{
    if (!(file in texts)) {
        while ((getline line < file) > 0) all = all line "\n"
        close(file)
        texts[file] = all
    }
    return texts[file]
}
# where the mutant at hand changes its file; 0: it does not apply, and `why` tells
function place(    all, after, at)
{
    all = text_of(file)
    after = 0
    if (context != "") {
        after = index(all, context)
        if (!after) { why = "no place with \"" context "\""; return 0 }
        if (index(substr(all, after + 1), context)) { why = "several places with \"" context "\""; return 0 }
        after += length(context) - 1
    }
    at = index(substr(all, after + 1), original)
    if (!at) { why = "no \"" original "\" there"; return 0 }
    at += after
    if (context == "" && index(substr(all, at + 1), original)) { why = "several of \"" original "\""; return 0 }
    return at
}
function end_of_mutant(    at)
{
    if (name == "") return
    if (name in seen) { print name ": twice in the list"; bad++ }
    seen[name] = 1
    if (names) print name, file, want, tests
    if (check) {
        if (text_of(file) == "") { print name ": no file " file; bad++ }
        else if (!place()) { print name ": " file ": " why; bad++ }
        else if (original == replacement) { print name ": changes nothing"; bad++ }
        else good++
    }
    if (mutant == name) {
        at = place()
        if (!at) { print name ": " file ": " why > "/dev/stderr"; bad++ }
        else printf "%s%s%s", substr(text_of(file), 1, at - 1), replacement, substr(text_of(file), at + length(original))
    }
    name = ""
}
/^mutant / {
    end_of_mutant()
    name = $2; file = $3; want = $4; tests = $5
    for (i = 6; i <= NF; i++) tests = tests " " $i
    context = original = replacement = ""
    next
}
/^@ / { context = substr($0, 3) }
/^- / { original = substr($0, 3) }
/^\+ / { replacement = substr($0, 3) }
END {
    end_of_mutant()
    if (check) print good + 0 " passed, " bad + 0 " failed"
    exit bad > 0
}
