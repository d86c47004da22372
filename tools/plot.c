/* hrm plot: a run's learning curves, from its metrics.jsonl, as a picture. */
#include "tool.h"

#include "canvas.h"
#include "plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plot_help[] =
    "usage: hrm plot RUN_DIR [-o FILE.png|FILE.svg] [--scale N]\n\n"
    "Draws the learning curves of a run from RUN_DIR/metrics.jsonl (or from a .jsonl\n"
    "file given instead): losses, accuracies, segments, learning rate; training and\n"
    "evaluation in one panel.\n\n"
    "  -o FILE        the picture, .png or .svg [RUN_DIR/curves.png]\n"
    "  --scale N      pixels a unit of length of a .png, 1 to 8 [2]\n";

/* ---- curves ------------------------------------------------------------------------------------------------------------- */

enum { PLOT_CURVES = 64, PLOT_KEY = 96, PLOT_PANELS = 24, PLOT_MANY = 150 /* points from which on a curve is smoothed */ };
typedef struct plot_curve {
    char    key[PLOT_KEY]; /* "train/lm_loss" */
    double *xy;            /* [n, 2] step and value */
    size_t  n, room;
    const plot_line *line; /* how it is to look; NULL: as its key says */
} plot_curve;
typedef struct plot_run {
    plot_curve curves[PLOT_CURVES];
    int        count;
    long       lines, broken; /* read; that were no JSON */
    int        last_broken;   /* 1: the last of them */
} plot_run;

static hrm_status plot_add(plot_run *run, const char *key, double step, double value)
{
    int i = 0;
    while (i < run->count && strcmp(run->curves[i].key, key) != 0) i++;
    if (i == PLOT_CURVES || strlen(key) >= PLOT_KEY) return HRM_OK; /* more than can be told apart */
    plot_curve *c = &run->curves[i];
    if (i == run->count) {
        memcpy(c->key, key, strlen(key) + 1);
        run->count++;
    }
    while (c->n && c->xy[2 * c->n - 2] >= step) c->n--; /* a run that was resumed went through these steps again */
    if (c->n == c->room) {
        size_t room = c->room ? 2 * c->room : 256;
        double *more = (double *)realloc(c->xy, room * 2 * sizeof *more);
        if (!more) return hrm_error_set(HRM_ERR_MEMORY, "no memory for %zu points of %s", room, key);
        c->xy = more;
        c->room = room;
    }
    c->xy[2 * c->n] = step;
    c->xy[2 * c->n + 1] = value;
    c->n++;
    return HRM_OK;
}

static hrm_status plot_read(plot_run *run, const char *text, size_t length, const char *path)
{
    /* one JSON object a line; lines that are none (a run may be killed while it writes) are counted and left out */
    const char *p = text, *end = text + length;
    for (long line = 1; p < end; line++) {
        const char *stop = (const char *)memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        size_t n = (size_t)(stop - p), blank = 0;
        while (blank < n && (p[blank] == ' ' || p[blank] == '\t' || p[blank] == '\r')) blank++;
        if (blank < n) {
            hrm_json_document *doc = NULL;
            run->lines++;
            hrm_status status = hrm_json_parse(&doc, p, n, path, NULL);
            if (status == HRM_ERR_MEMORY) return status; /* which says nothing of the line */
            const hrm_json *root = status == HRM_OK ? hrm_json_root(doc) : NULL, *step = hrm_json_get(root, "step");
            run->last_broken = !root || !step || step->type != HRM_JSON_NUMBER;
            run->broken += run->last_broken;
            status = HRM_OK;
            for (const hrm_json *m = run->last_broken ? NULL : root->child; m && status == HRM_OK; m = m->next)
                if (m->type == HRM_JSON_NUMBER && m != step && fabs(m->number) < 1e300 /* finite, and so are differences */)
                    status = plot_add(run, m->key, step->number, m->number);
            hrm_json_close(doc);
            if (status != HRM_OK) return status;
        }
        p = stop + 1;
    }
    if (run->count) return HRM_OK;
    return hrm_error_set(HRM_ERR_FORMAT, "%s: has no line with a \"step\" and a metric", path);
}

/* ---- panels ------------------------------------------------------------------------------------------------------------- */

/* What a metric's panel is called, in the order of the panels; metrics with the same title share one. */
static const struct { const char *metric, *title, *name; int percent; } plot_known[] = {
    {"lm_loss", "Token loss", "", 0},
    {"exact_accuracy", "Exact accuracy (%)", "", 1},
    {"accuracy", "Token accuracy (%)", "", 1},
    {"q_halt_loss", "Halting losses", "halt", 0},
    {"q_continue_loss", "Halting losses", "continue", 0},
    {"q_halt_accuracy", "Halting accuracy (%)", "", 1},
    {"steps", "Segments used", "", 0},
    {"lr", "Learning rate", "", 0},
    {"valid", "Valid answers (%)", "", 1},
    {"optimal", "Optimal answers (%)", "", 1},
};
enum { PLOT_KNOWN = (int)(sizeof plot_known / sizeof plot_known[0]) };

typedef struct plot_panel {
    char title[PLOT_KEY];
    const char *across; /* what the axis below is of */
    int  percent, log, count;
    int  curves[PLOT_CURVES];
    char names[PLOT_CURVES][PLOT_KEY]; /* in the legend */
} plot_panel;

static const char *plot_metric(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash ? slash + 1 : key;
}

static void plot_name(char name[PLOT_KEY], const char *key, const char *more)
{
    /* "train/lm_loss" -> "training", "eval/all/…" -> "evaluation", other sets by their name; `more` tells apart what shares a
     * panel */
    size_t n = (size_t)(plot_metric(key) - key);
    char set[PLOT_KEY] = "";
    if (n > 1) memcpy(set, key, n - 1), set[n - 1] = 0;
    int train = strcmp(set, "train") == 0, all = strcmp(set, "eval/all") == 0;
    if (more[0])
        snprintf(name, PLOT_KEY, "%s%s%.60s%s", more, train ? "" : " (", train ? "" : all ? "eval" : set, train ? "" : ")");
    else snprintf(name, PLOT_KEY, "%.90s", train ? "training" : all ? "evaluation" : set);
}

static int plot_find_panels(const plot_run *run, plot_panel *panels)
{
    int count = 0, taken[PLOT_CURVES] = {0};
    for (int k = 0; k <= PLOT_KNOWN; k++)
        for (int i = 0; i < run->count; i++) {
            const char *metric = plot_metric(run->curves[i].key), *title = k < PLOT_KNOWN ? plot_known[k].title : metric;
            if (taken[i] || strcmp(metric, "count") == 0 || (k < PLOT_KNOWN && strcmp(metric, plot_known[k].metric) != 0))
                continue;
            int p = 0;
            while (p < count && strcmp(panels[p].title, title) != 0) p++;
            if (p == PLOT_PANELS) continue;
            if (p == count) {
                memset(&panels[p], 0, sizeof panels[p]);
                snprintf(panels[p].title, PLOT_KEY, "%s", title);
                panels[p].percent = k < PLOT_KNOWN && plot_known[k].percent;
                panels[p].across = "step";
                count++;
            }
            plot_panel *panel = &panels[p];
            plot_name(panel->names[panel->count], run->curves[i].key, k < PLOT_KNOWN ? plot_known[k].name : "");
            panel->curves[panel->count++] = i;
            taken[i] = 1;
        }
    return count;
}

/* ---- axes --------------------------------------------------------------------------------------------------------------- */

typedef struct plot_axis {
    double low, high; /* of the axis; logarithms when `log` */
    int    log, count;
    double ticks[16]; /* values, not logarithms */
    double step;      /* between them, when not log */
} plot_axis;

static double plot_nice_step(double range, int most)
{
    /* 1, 2 or 5 times a power of ten, such that at most `most` steps fit */
    double power = pow(10, floor(log10(range / most)));
    for (;; power *= 10) {
        if (range / power <= most) return power;
        if (range / (2 * power) <= most) return 2 * power;
        if (range / (5 * power) <= most) return 5 * power;
    }
}

static plot_axis plot_axis_make(double low, double high, int most, int widen)
{
    /* widen: the axis goes on to the next tick */
    plot_axis a;
    memset(&a, 0, sizeof a);
    if (!(high - low > 1e-280)) { /* logarithms of less are none */
        double pad = fabs(low) > 1e-270 ? fabs(low) * 0.5 : 1;
        low -= widen ? pad : 0;
        high += pad;
    }
    a.step = plot_nice_step(high - low, most);
    double first = widen ? floor(low / a.step + 1e-9) : ceil(low / a.step - 1e-9);
    double last = widen ? ceil(high / a.step - 1e-9) : floor(high / a.step + 1e-9);
    for (double t = first; t <= last && a.count < 16; t++) a.ticks[a.count++] = t * a.step;
    a.low = widen ? first * a.step : low;
    a.high = widen ? last * a.step : high;
    return a;
}

static plot_axis plot_axis_log(double low, double high, int doubled)
{
    /* doubled: of what doubles from point to point */
    static const double parts[3] = {1, 2, 5};
    plot_axis a;
    memset(&a, 0, sizeof a);
    a.log = 1;
    a.low = log10(low) - 0.05;
    a.high = log10(high) + 0.05;
    if (doubled) {
        double first = low == floor(low) ? low : exp2(ceil(log2(low)));
        for (double t = first; t <= high * (1 + 1e-9) && a.count < 16; t *= 2) a.ticks[a.count++] = t;
        return a;
    }
    int dense = a.high - a.low < 2.2;
    for (double power = floor(a.low); power <= a.high; power++)
        for (int k = 0; k < (dense ? 3 : 1); k++) {
            double t = parts[k] * pow(10, power);
            if (log10(t) >= a.low && log10(t) <= a.high && a.count < 16) a.ticks[a.count++] = t;
        }
    return a;
}

static double plot_at(const plot_axis *a, double value)
{
    /* 0 at the axis's low end, 1 at its high end */
    double v = a->log ? log10(value > 0 ? value : 1e-300) : value;
    return (v - a->low) / (a->high - a->low);
}

static void plot_label(char text[32], double value, const plot_axis *a)
{
    double size = fabs(value), top = fmax(fabs(a->low), fabs(a->high));
    if (value == 0) snprintf(text, 32, "0");
    else if (a->log ? size < 0.001 || size >= 1e5 : top < 0.01) {
        int power = (int)floor(log10(size) + 1e-9),
            whole = fabs(size / pow(10, power) - floor(size / pow(10, power) + 0.5)) < 1e-6;
        snprintf(text, 32, "%.*fe%d", whole ? 0 : 1, value / pow(10, power), power);
    } else if (a->log) snprintf(text, 32, "%g", value);
    else if (top >= 1e6 && a->step >= 1e4) snprintf(text, 32, "%gM", value / 1e6);
    else if (top >= 1e4 && a->step >= 100) snprintf(text, 32, "%gk", value / 1e3);
    else snprintf(text, 32, "%.*f", a->step < 1 ? (int)ceil(-log10(a->step) - 1e-9) : 0, value);
}

/* ---- drawing ------------------------------------------------------------------------------------------------------------ */

enum { PLOT_WIDTH = 300, PLOT_HEIGHT = 190, PLOT_LEFT = 62, PLOT_RIGHT = 22, PLOT_TOP = 62, PLOT_BOTTOM = 52, PLOT_HEAD = 84 };

typedef struct plot_look { unsigned colour; int marker /* 0 none, 1 disc, 2 square, 3 ring */, dashed; } plot_look;

static plot_look plot_look_of(const char *key, const char *name, int index)
{
    /* training is always blue, evaluation always vermilion with marks; what else shares a panel is dashed or has other marks */
    static const unsigned others[5] = {CANVAS_GREEN, CANVAS_PURPLE, CANVAS_ORANGE, CANVAS_SKY, CANVAS_INK};
    plot_look look = {CANVAS_BLUE, 0, 0};
    int evaluation = strncmp(key, "eval", 4) == 0, second = strstr(name, "continue") != NULL;
    if (evaluation) look.colour = second ? CANVAS_ORANGE : CANVAS_VERMILION, look.marker = second ? 2 : 1;
    else if (second) look.colour = CANVAS_GREEN, look.dashed = 1;
    if (evaluation && strncmp(key, "eval/all/", 9) != 0 && index > 1)
        look.colour = others[index % 5], look.marker = 2 + index % 2;
    if (!evaluation && strncmp(key, "train/", 6) != 0 && index > 0) look.colour = others[index % 5], look.dashed = 1;
    return look;
}

static void plot_mark(canvas *c, double x, double y, plot_look look)
{
    if (look.marker == 1) canvas_disc(c, x, y, 3.6, look.colour);
    if (look.marker == 2) canvas_rect(c, (int)x - 3, (int)y - 3, 7, 7, look.colour);
    if (look.marker == 3) canvas_disc(c, x, y, 4, look.colour), canvas_disc(c, x, y, 2, CANVAS_WHITE);
}

static void plot_path(canvas *c, const double *xy, size_t n, double thickness, plot_look look, double opacity)
{
    if (!look.dashed) {
        canvas_polyline(c, xy, n, thickness, look.colour, opacity);
        return;
    }
    double walked = 0; /* 7 pixels drawn, 5 not */
    for (size_t i = 0; i + 1 < n; i++) {
        double dx = xy[2 * i + 2] - xy[2 * i], dy = xy[2 * i + 3] - xy[2 * i + 1], length = sqrt(dx * dx + dy * dy), at = 0;
        while (at < length) {
            double phase = fmod(walked + at, 12), left = phase < 7 ? 7 - phase : 12 - phase,
                   to = at + left < length ? at + left : length;
            if (phase < 7)
                canvas__gather(c, xy[2 * i] + dx * at / length, xy[2 * i + 1] + dy * at / length, xy[2 * i] + dx * to / length,
                               xy[2 * i + 1] + dy * to / length, thickness / 2);
            at = to > at ? to : length;
        }
        walked += length;
    }
    canvas__lay(c, look.colour, opacity);
}

static hrm_status plot_curve_draw(canvas *c, const plot_curve *curve, double scale, plot_look look, const plot_axis *ax,
                                  const plot_axis *ay, int x0, int y0)
{
    int plain = curve->line || look.marker || strcmp(plot_metric(curve->key), "lr") == 0;
    size_t n = curve->n, window = plain || n < PLOT_MANY ? 0 : n / 60;
    double *at = (double *)malloc((n * 2 + 1) * sizeof *at);
    if (!at) return hrm_error_set(HRM_ERR_MEMORY, "no memory to draw %s", curve->key);
    for (int smooth = 0; smooth <= (window > 0); smooth++) { /* as it was logged, then the mean of its neighbourhood */
        size_t w = smooth ? window : 0, from = 0, to = 0; /* the mean is over from..to-1 */
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            while (to < n && to <= i + w) sum += curve->xy[2 * to++ + 1];
            while (from + w < i) sum -= curve->xy[2 * from++ + 1];
            at[2 * i] = x0 + plot_at(ax, curve->xy[2 * i]) * PLOT_WIDTH;
            at[2 * i + 1] = y0 + (1 - plot_at(ay, sum / (double)(to - from) * scale)) * PLOT_HEIGHT;
        }
        plot_look solid = look;
        if (window && !smooth) solid.dashed = 0;
        plot_path(c, at, n, window && !smooth ? 1 : 2.2, solid, window && !smooth ? 0.3 : 1);
    }
    size_t every = n / 40 + 1; /* marks do not crowd */
    for (size_t i = 0; i < n; i++)
        if (look.marker && (n - 1 - i) % every == 0) plot_mark(c, at[2 * i], at[2 * i + 1], look);
    free(at);
    return HRM_OK;
}

static plot_axis plot_vertical(const plot_run *run, const plot_panel *panel)
{
    double low = HUGE_VAL, high = -HUGE_VAL, scale = panel->percent ? 100 : 1;
    for (int k = 0; k < panel->count; k++) {
        const plot_curve *c = &run->curves[panel->curves[k]];
        for (size_t i = 0; i < c->n; i++) {
            double v = c->xy[2 * i + 1] * scale;
            if (v < low) low = v;
            if (v > high) high = v;
        }
    }
    int loss = panel->log || strstr(panel->title, "oss") != NULL;
    if (loss && low > 0 && high / low > 30) return plot_axis_log(low, high, 0);
    if (low > 0 && (low < 0.5 * high || !(high > low))) low = 0;
    if (low == 0 && high == 0) high = 1;
    plot_axis a = plot_axis_make(low, high, 5, 1);
    if (panel->percent && a.high > 100) a.high = 100;
    while (a.count && a.ticks[a.count - 1] > a.high * (1 + 1e-9)) a.count--;
    return a;
}

static hrm_status plot_panel_draw(canvas *c, const plot_run *run, const plot_panel *panel, const plot_axis *ax, int x0, int y0)
{
    /* x0, y0: the top left corner of the area inside the axes */
    canvas_style title = canvas_style_make(11, CANVAS_INK, CANVAS_LEFT), small = canvas_style_make(9, CANVAS_INK, CANVAS_LEFT);
    plot_axis ay = plot_vertical(run, panel);
    char text[32];
    title.weight = 0.17;
    canvas_text(c, x0, y0 - 36, panel->title, title);
    small.align = CANVAS_RIGHT;
    for (int i = 0; i < ay.count; i++) {
        int y = y0 + (int)((1 - plot_at(&ay, ay.ticks[i])) * PLOT_HEIGHT + 0.5);
        canvas_rect(c, x0, y, PLOT_WIDTH, 1, CANVAS_PALE);
        plot_label(text, ay.ticks[i], &ay);
        canvas_text(c, x0 - 8, y + 5, text, small);
    }
    small.align = CANVAS_CENTRE;
    for (int i = 0; i < ax->count; i++) {
        int x = x0 + (int)(plot_at(ax, ax->ticks[i]) * PLOT_WIDTH + 0.5);
        canvas_rect(c, x, y0, 1, PLOT_HEIGHT, CANVAS_PALE);
        canvas_rect(c, x, y0 + PLOT_HEIGHT, 1, 5, CANVAS_INK);
        plot_label(text, ax->ticks[i], ax);
        canvas_text(c, x + 0.5, y0 + PLOT_HEIGHT + 19, text, small);
    }
    small.colour = CANVAS_GREY;
    canvas_text(c, x0 + PLOT_WIDTH / 2.0, y0 + PLOT_HEIGHT + 37, panel->across, small);
    canvas_rect(c, x0 - 1, y0, 1, PLOT_HEIGHT, CANVAS_INK);
    canvas_rect(c, x0 - 1, y0 + PLOT_HEIGHT, PLOT_WIDTH + 1, 1, CANVAS_INK);
    double x = x0;
    for (int k = 0; k < panel->count; k++) {
        const plot_curve *curve = &run->curves[panel->curves[k]];
        plot_look look = plot_look_of(curve->key, panel->names[k], k);
        const plot_line *line = curve->line;
        if (line) look.colour = line->colour, look.marker = line->marker, look.dashed = line->dashed;
        hrm_status status = plot_curve_draw(c, curve, panel->percent ? 100 : 1, look, ax, &ay, x0, y0);
        if (status != HRM_OK) return status;
        double icon[4];
        icon[0] = x + 1, icon[2] = x + 23, icon[1] = icon[3] = y0 - 16;
        if (!panel->names[k][0]) continue;
        plot_path(c, icon, 2, 2.2, look, 1);
        plot_mark(c, x + 12, y0 - 16, look);
        canvas_text(c, x + 29, y0 - 12, panel->names[k], canvas_style_make(8.5, CANVAS_INK, CANVAS_LEFT));
        x += 29 + canvas_text_width(panel->names[k], 8.5) + 13;
    }
    return HRM_OK;
}

static void plot_summary(const plot_run *run, char *text, size_t size)
{
    double last = 0, best = -1, best_step = 0;
    int smooth = 0;
    for (int i = 0; i < run->count; i++) {
        const plot_curve *c = &run->curves[i];
        smooth |= c->n >= PLOT_MANY;
        if (c->xy[2 * c->n - 2] > last) last = c->xy[2 * c->n - 2];
        if (strcmp(c->key, "eval/all/exact_accuracy") != 0) continue;
        for (size_t k = 0; k < c->n; k++)
            if (c->xy[2 * k + 1] > best) best = c->xy[2 * k + 1], best_step = c->xy[2 * k];
    }
    int n = snprintf(text, size, "%.0f steps", last);
    if (best >= 0 && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, ", best evaluation: %.2f %% exact at step %.0f", best * 100, best_step);
    size_t used = strlen(text);
    if (smooth) snprintf(text + used, size - used, "; pale: as logged, strong: moving average");
}

static hrm_status plot_draw(canvas *c, const plot_run *run, const char *name, int scale)
{
    plot_panel *panels = (plot_panel *)malloc(PLOT_PANELS * sizeof *panels);
    if (!panels) return hrm_error_set(HRM_ERR_MEMORY, "no memory to draw %s", name);
    int count = plot_find_panels(run, panels), columns = count <= 3 ? count : count == 4 ? 2 : count <= 6 ? 3 : 4;
    double first = HUGE_VAL, last = 0;
    for (int i = 0; i < run->count; i++) {
        const plot_curve *k = &run->curves[i];
        if (k->xy[0] < first) first = k->xy[0];
        if (k->xy[2 * k->n - 2] > last) last = k->xy[2 * k->n - 2];
    }
    if (first > 0 && first < last * 0.2) first = 0;
    plot_axis ax = plot_axis_make(first, last, 5, 0);
    const int wide = PLOT_LEFT + PLOT_WIDTH + PLOT_RIGHT, high = PLOT_TOP + PLOT_HEIGHT + PLOT_BOTTOM;
    hrm_status status =
        count ? canvas_create(c, scale, columns * wide + 10, PLOT_HEAD + (count + columns - 1) / columns * high, CANVAS_WHITE)
              : hrm_error_set(HRM_ERR_FORMAT, "%s: nothing to draw", name);
    if (status == HRM_OK) {
        char text[160];
        canvas_style title = canvas_style_make(14, CANVAS_INK, CANVAS_LEFT);
        title.weight = 0.17;
        canvas_text(c, PLOT_LEFT, 40, name, title);
        snprintf(c->title, sizeof c->title, "%.140s: learning curves", name);
        plot_summary(run, text, sizeof text);
        canvas_text(c, PLOT_LEFT, 64, text, canvas_style_make(10, CANVAS_GREY, CANVAS_LEFT));
    }
    for (int i = 0; i < count && status == HRM_OK; i++)
        status =
            plot_panel_draw(c, run, &panels[i], &ax, i % columns * wide + PLOT_LEFT, PLOT_HEAD + i / columns * high + PLOT_TOP);
    free(panels);
    return status;
}

hrm_status plot_charts(canvas *c, const plot_chart *charts, int count, const char *title, const char *subtitle, int scale)
{
    plot_run *run = (plot_run *)calloc(1, sizeof *run);
    plot_panel *panel = (plot_panel *)calloc(1, sizeof *panel);
    const int wide = PLOT_LEFT + PLOT_WIDTH + PLOT_RIGHT, high = PLOT_TOP + PLOT_HEIGHT + PLOT_BOTTOM,
              columns = count <= 3 ? count : count == 4 ? 2 : 3;
    hrm_status status = run && panel ? canvas_create(c, scale, columns * wide + 10,
                                                     PLOT_HEAD + (count + columns - 1) / columns * high, CANVAS_WHITE)
                                     : hrm_error_set(HRM_ERR_MEMORY, "no memory to draw %s", title);
    if (status == HRM_OK) {
        canvas_style style = canvas_style_make(14, CANVAS_INK, CANVAS_LEFT);
        style.weight = 0.17;
        canvas_text(c, PLOT_LEFT, 40, title, style);
        canvas_text(c, PLOT_LEFT, 64, subtitle, canvas_style_make(10, CANVAS_GREY, CANVAS_LEFT));
        snprintf(c->title, sizeof c->title, "%.150s", title);
    }
    for (int i = 0; i < count && status == HRM_OK; i++) {
        const plot_chart *chart = &charts[i];
        double first = HUGE_VAL, last = -HUGE_VAL;
        memset(panel, 0, sizeof *panel);
        snprintf(panel->title, sizeof panel->title, "%s", chart->title);
        panel->across = chart->across;
        panel->percent = chart->percent;
        panel->log = chart->log;
        run->count = 0;
        for (int k = 0; k < chart->count && k < PLOT_CURVES; k++) {
            plot_curve *curve = &run->curves[run->count];
            curve->line = &chart->lines[k];
            curve->xy = chart->lines[k].xy;
            curve->n = chart->lines[k].n;
            if (!curve->n) continue;
            snprintf(panel->names[run->count], PLOT_KEY, "%s", chart->lines[k].name);
            panel->curves[run->count] = run->count;
            run->count++;
            if (curve->xy[0] < first) first = curve->xy[0];
            if (curve->xy[2 * curve->n - 2] > last) last = curve->xy[2 * curve->n - 2];
        }
        panel->count = run->count;
        if (!run->count) continue;
        int most = last - first < 5 && last > first ? (int)(last - first) : 5;
        plot_axis ax = chart->log_across ? plot_axis_log(first, last, 1) : plot_axis_make(first, last, most, 0);
        status = plot_panel_draw(c, run, panel, &ax, i % columns * wide + PLOT_LEFT, PLOT_HEAD + i / columns * high + PLOT_TOP);
    }
    free(run);
    free(panel);
    return status;
}

int command_plot(int argc, char **argv)
{
    const char *source = NULL, *output = NULL;
    int scale = CANVAS_SCALE;
    char metrics[TOOL_PATH], picture[TOOL_PATH], name[128];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return fputs(plot_help, stdout), TOOL_OK;
        if (strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) {
            if (++i == argc) return tool_usage("plot: -o needs a file");
            output = argv[i];
        } else if (strcmp(argv[i], "--scale") == 0) {
            const char *value = ++i < argc ? argv[i] : "";
            if (value[0] < '1' || value[0] > '0' + CANVAS_MAX_SCALE || value[1])
                return tool_usage("plot: --scale is \"%s\", expected 1 to %d", value, CANVAS_MAX_SCALE);
            scale = value[0] - '0';
        } else if (argv[i][0] == '-' && argv[i][1]) {
            return tool_usage("plot: no option \"%s\"; there are -o FILE and --scale N", argv[i]);
        } else if (source) {
            return tool_usage("plot: one run at a time; there are \"%s\" and \"%s\"", source, argv[i]);
        } else {
            source = argv[i];
        }
    }
    if (!source) return tool_usage("plot: which run? usage: hrm plot RUN_DIR [-o FILE]");
    int folder = tool_is_directory(source);
    if (!tool_join(metrics, folder ? source : ".", folder ? "metrics.jsonl" : source))
        return tool_usage("plot: the path %.60s is too long", source);
    if (!output) {
        char parent[TOOL_PATH];
        if (!folder && !tool_directory(parent, source)) return tool_usage("plot: the path %.60s is too long", source);
        output = tool_join(picture, folder ? source : parent, "curves.png");
        if (!output) return tool_usage("plot: the path %.60s is too long", source);
    }
    scale = canvas_scale_of(output, scale);
    if (scale < 0) return tool_usage("plot: %s: the picture's name ends in neither .png nor .svg", output);
    size_t length, end = strlen(source);
    char *text = tool_read_text(folder ? metrics : source, &length);
    if (!text) return TOOL_ERROR;

    plot_run *run = (plot_run *)calloc(1, sizeof *run);
    canvas c;
    memset(&c, 0, sizeof c);
    if (!run) {
        free(text);
        return tool_error("no memory for the curves");
    }
    hrm_status status = plot_read(run, text, length, folder ? metrics : source);
    free(text);
    if (status == HRM_OK && run->last_broken)
        tool_note("plot: the last line of %s is incomplete, it is left out", folder ? metrics : source);
    if (status == HRM_OK && run->broken - run->last_broken > 0)
        tool_note("plot: %ld of %ld lines of %s are no metrics, they are left out", run->broken - run->last_broken, run->lines,
                  folder ? metrics : source);
    while (end > 1 && source[end - 1] == '/') end--; /* the run's name is the folder's */
    size_t begin = end;
    while (begin > 0 && source[begin - 1] != '/') begin--;
    snprintf(name, sizeof name, "%.*s", (int)(end - begin < 100 ? end - begin : 100), source + begin);
    if (status == HRM_OK) status = plot_draw(&c, run, name, scale);
    if (status == HRM_OK) status = canvas_save(&c, output);
    if (status == HRM_OK) printf("%s: %d x %d%s\n", output, c.width, c.height, scale == CANVAS_SVG ? "" : " pixels");
    canvas_destroy(&c);
    for (int i = 0; i < run->count; i++) free(run->curves[i].xy);
    free(run);
    return status == HRM_OK ? TOOL_OK : tool_failed();
}
