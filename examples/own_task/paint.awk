# Puzzles of the task "paint", in the text form that `hrm data grid` reads:
#   awk -f paint.awk -v n=10000 > train.txt             puzzles with their answers
#   awk -f paint.awk -v n=500 -v unseen=1 > test.txt    others, of which no training set has one
#   awk -f paint.awk -v n=3 -v unseen=1 -v answers=0    without answers; -v seed=2 makes others still
# A drop of paint (o) spreads over the floor (.) as far as the walls (#) let it: up, down, left and right. Grids have 3 to 5 rows
# and columns. The random numbers are our own, so that every awk makes the same puzzles.
function random(limit) { state = (state * 16807) % 2147483647; return int(state / 2147483647 * limit) }
function make(    r, c)
{
    rows = 3 + random(3)
    cols = 3 + random(3)
    split("", cell)
    for (r = 1; r <= rows; r++)
        for (c = 1; c <= cols; c++) cell[r, c] = random(100) < 42 ? "#" : "."
    cell[1 + random(rows), 1 + random(cols)] = "o"
}
function is_unseen(    r, c, hash) # one in ten, by what the puzzle looks like
{
    for (r = 1; r <= rows; r++)
        for (c = 1; c <= cols; c++) hash = (hash * 31 + index("#.o", cell[r, c]) + c) % 65521
    return hash % 10 == 0
}
function show(    r, c, line)
{
    for (r = 1; r <= rows; r++) {
        line = ""
        for (c = 1; c <= cols; c++) line = line cell[r, c]
        print line
    }
}
function wet(r, c) { return cell[r - 1, c] == "o" || cell[r + 1, c] == "o" || cell[r, c - 1] == "o" || cell[r, c + 1] == "o" }
function spread(    r, c, more)
{
    do {
        more = 0
        for (r = 1; r <= rows; r++)
            for (c = 1; c <= cols; c++)
                if (cell[r, c] == "." && wet(r, c)) {
                    cell[r, c] = "o"
                    more = 1
                }
    } while (more)
}
BEGIN {
    if (answers == "") answers = 1
    state = seed * 7919 + 12345
    for (k = 0; k < n; k++) {
        do make()
        while (is_unseen() != (unseen + 0))
        show()
        if (answers) {
            print "->"
            spread()
            show()
        }
        print ""
    }
}
