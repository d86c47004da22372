/* A progress bar on stderr: one line that redraws itself on a terminal, a plain line every few seconds elsewhere.
 *
 *   progress p = progress_begin("train", total);       total 0: not known
 *   progress_update(&p, done, "loss 0.412");            as often as you like; draws five times a second at most
 *   progress_end(&p, "1,000 puzzles");                  the last line, with the time it took; NULL: no more than that
 */
#ifndef HRM_PROGRESS_H
#define HRM_PROGRESS_H

#include <stdio.h>
#include <string.h>

#include "tool.h"

#if defined(__GNUC__) || defined(__clang__)
    #define PROGRESS_API static __attribute__((unused))
#else
    #define PROGRESS_API static
#endif

typedef struct progress {
    const char *label;
    double      total, done, start, drawn;
    double      from; /* done before the start; set it after progress_begin when work goes on where it stopped */
    int         terminal, width; /* of what is on the line now */
} progress;

PROGRESS_API progress progress_begin(const char *label, double total)
{
    progress p;
    memset(&p, 0, sizeof p);
    p.label = label;
    p.total = total;
    p.start = p.drawn = tool_seconds();
    p.terminal = tool_is_terminal(2);
    return p;
}

static void progress__time(char text[32], double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s < 60) snprintf(text, 32, "%ld s", s);
    else if (s < 3600) snprintf(text, 32, "%ld:%02ld min", s / 60, s % 60);
    else snprintf(text, 32, "%ld:%02ld h", s / 3600, s / 60 % 60);
}

static void progress__draw(progress *p, const char *text, double now, int last)
{
    char line[320], bar[28] = "", counts[64], time[32], left[48];
    if (tool_rank) return;
    int room = p->terminal ? tool_terminal_width(2) - 1 : (int)sizeof line - 1; /* a line that wraps cannot be drawn over */
    double part = p->total > 0 ? p->done / p->total : 0;
    if (part > 1) part = 1;
    if (p->total > 0) snprintf(counts, sizeof counts, "%3d%%  %.0f/%.0f", (int)(100 * part), p->done, p->total);
    else snprintf(counts, sizeof counts, "%.0f", p->done);
    int known = p->total > 0 && p->done > p->from;
    progress__time(time, last || !known ? now - p->start : (now - p->start) * (p->total - p->done) / (p->done - p->from));
    snprintf(left, sizeof left, last ? "  in %s" : known ? "  %s left" : "  %s", time);
    if (!text) text = "";
    if (room > (int)sizeof line - 1) room = (int)sizeof line - 1;
    int others = (int)(strlen(p->label) + strlen(counts) + strlen(left)) + 2, said = (int)strlen(text), cells = 0;
    if (p->terminal && p->total > 0) cells = room - others - said - 5; /* the bar takes what the others leave, 24 at most */
    if (cells > 24) cells = 24;
    if (cells >= 4) {
        bar[0] = '[';
        for (int i = 0; i < cells; i++) bar[1 + i] = part * cells >= i + 1 ? '=' : part * cells > i ? '>' : ' ';
        memcpy(bar + 1 + cells, "] ", 3);
    }
    if (said > room - others - 2 && !*bar) { /* then the text gives way, at a gap between two things it tells */
        said = room - others - 2 > 0 ? room - others - 2 : 0;
        while (said > 0 && !(text[said] == ' ' && text[said - 1] == ' ') && text[said]) said--;
        while (said > 0 && text[said - 1] == ' ') said--;
    }
    int n = snprintf(line, (size_t)room + 1, "%s  %s%s%s%.*s%s", p->label, bar, counts, said ? "  " : "", said, text, left);
    if (n < 0) return;
    if (n > room) n = room;
    if (p->terminal) fprintf(stderr, "\r%s%*s%s", line, p->width > n ? p->width - n : 0, "", last ? "\n" : "");
    else fprintf(stderr, "%s\n", line);
    fflush(stderr);
    p->width = n;
    p->drawn = now;
}

PROGRESS_API void progress_update(progress *p, double done, const char *text)
{
    double now = tool_seconds();
    p->done = done;
    if (now - p->drawn >= (p->terminal ? 0.2 : 5.0)) progress__draw(p, text, now, 0);
}

PROGRESS_API void progress_end(progress *p, const char *text) { progress__draw(p, text, tool_seconds(), 1); }

/* Before something else is written to stderr: takes the bar off its line; the next update draws it again. */
PROGRESS_API void progress_clear(progress *p)
{
    if (p->terminal && p->width) {
        fprintf(stderr, "\r%*s\r", p->width, "");
        p->width = 0;
    }
}

#endif
