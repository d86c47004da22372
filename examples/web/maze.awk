# Mazes for the page, as `hrm data maze --source-dir` reads them: awk -v n=1000 -v seed=1 -f maze.awk > train.csv
# None to almost half of the cells are walls. The way is a shortest one; of several that which goes right, else down, left, up, first.
BEGIN {
    if (!side) side = 10
    if (!n) n = 1000
    srand(seed)
    cells = side * side
    for (i = 0; i < cells; i++) {
        near[i, 1] = i % side < side - 1 ? i + 1 : -1
        near[i, 2] = i + side < cells ? i + side : -1
        near[i, 3] = i % side ? i - 1 : -1
        near[i, 4] = i - side
    }
    print "source,question,answer,rating"
    while (made < n) {
        walls = 0.46 * sqrt(rand())
        for (i = 0; i < cells; i++) {
            cell[i] = rand() < walls ? "#" : " "
            far[i] = -1
        }
        goal = int(cells * rand())
        cell[goal] = "G"
        queue[0] = goal
        far[goal] = 0
        count = 1
        for (head = 0; head < count; head++) # how far the goal is
            for (k = 1; k <= 4; k++) {
                to = near[queue[head], k]
                if (to < 0 || far[to] >= 0 || cell[to] == "#") continue
                far[to] = far[queue[head]] + 1
                queue[count++] = to
            }
        if (count < cells / 5) continue
        start = queue[int(count * sqrt(rand()))] # rather a far one
        if (start == goal) continue
        cell[start] = "S"
        question = answer = ""
        for (i = 0; i < cells; i++) question = question cell[i]
        for (at = start; far[at] > 1;) {
            for (k = 1; near[at, k] < 0 || far[near[at, k]] != far[at] - 1; k++);
            at = near[at, k]
            cell[at] = "o"
        }
        for (i = 0; i < cells; i++) answer = answer cell[i]
        print "own," question "," answer "," far[start]
        made++
    }
}
