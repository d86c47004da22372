# Makes puzzles of the task "paint" in the text form that `hrm data grid` reads:
#   awk -f paint.awk -v n=2000 -v seed=1 > train.txt        with -v answers=0 the puzzles alone
# A drop of paint (o) spreads over the floor (.) as far as the walls (#) let it: up, down, left and right. Grids have 4 to 6 rows
# and columns. The random numbers are our own, so that every awk makes the same puzzles.
function random(limit) { state = (state * 16807) % 2147483647; return int(state / 2147483647 * limit) }
function show(    r, c, line)
{
    for (r = 1; r <= rows; r++) {
        line = ""
        for (c = 1; c <= cols; c++) line = line cell[r, c]
        print line
    }
}
function spread(    r, c, more)
{
    do {
        more = 0
        for (r = 1; r <= rows; r++)
            for (c = 1; c <= cols; c++)
                if (cell[r, c] == "." && (cell[r - 1, c] == "o" || cell[r + 1, c] == "o" || cell[r, c - 1] == "o" || cell[r, c + 1] == "o")) {
                    cell[r, c] = "o"
                    more = 1
                }
    } while (more)
}
BEGIN {
    if (answers == "") answers = 1
    state = seed * 7919 + 12345
    for (i = 0; i < 10; i++) random(1)
    for (k = 0; k < n; k++) {
        rows = 4 + random(3)
        cols = 4 + random(3)
        split("", cell)
        for (r = 1; r <= rows; r++)
            for (c = 1; c <= cols; c++) cell[r, c] = random(100) < 42 ? "#" : "."
        cell[1 + random(rows), 1 + random(cols)] = "o"
        show()
        if (answers) {
            print "->"
            spread()
            show()
        }
        print ""
    }
}
