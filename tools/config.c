#include "config.h"
#include "data.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table -------------------------------------------------------------------------------------------------------- */
typedef struct config_key {
    const char *name, *def, *words, *help;
    double      low, high;
    size_t      offset; /* of the field in struct config */
    config_kind kind;
    int         commands, flags;
} config_key;

#define CONFIG__KEY(kind, field, key, ...) CONFIG__KEY_##kind(field, key, __VA_ARGS__)
#define CONFIG__KEY_INT(field, key, def, low, high, commands, flags, help)                                                     \
    {key, def, NULL, help, low, high, offsetof(config, field), CONFIG_KIND_INT, commands, flags},
#define CONFIG__KEY_REAL(field, key, def, low, high, commands, flags, help)                                                    \
    {key, def, NULL, help, low, high, offsetof(config, field), CONFIG_KIND_REAL, commands, flags},
#define CONFIG__KEY_FLAG(field, key, def, commands, flags, help)                                                               \
    {key, def, NULL, help, 0, 1, offsetof(config, field), CONFIG_KIND_FLAG, commands, flags},
#define CONFIG__KEY_WORD(field, key, def, words, commands, flags, help)                                                        \
    {key, def, words, help, 0, 0, offsetof(config, field), CONFIG_KIND_WORD, commands, flags},
#define CONFIG__KEY_TEXT(field, key, def, commands, flags, help)                                                               \
    {key, def, NULL, help, 0, 0, offsetof(config, field), CONFIG_KIND_TEXT, commands, flags},
static const config_key keys[CONFIG_COUNT] = {CONFIG_KEYS(CONFIG__KEY)};

static const char *own_name(int index) /* in the library, without what it is under */
{
    const char *dot = strrchr(keys[index].name, '.');
    return dot ? dot + 1 : keys[index].name;
}

static char *default_text(char text[64], const config_key *k)
{
    /* of a model's word the first, of its puzzle embedding the width of the others */
    if (k->offset == offsetof(config, puzzle_emb_ndim)) return strcpy(text, "${.hidden_size}");
    snprintf(text, 64, "%.*s", (int)strcspn(k->def, "|"), k->def);
    return text;
}

static const char *command_name(int command)
{
    static const char *const names[] = {"train", "eval", "solve", "convert", "info", "analyze"};
    int i = 0;
    while (command >> i > 1) i++;
    return names[i];
}

static int find_key(const char *name)
{
    if (strcmp(name, "save_outputs") == 0) name = "eval_save_outputs"; /* what the public evaluate.py calls it */
    if (strcmp(name, "data_paths") == 0) name = "data_path";           /* what the public TRM code calls a list of them */
    for (int i = 0; i < CONFIG_COUNT; i++)
        if (strcmp(keys[i].name, name) == 0) return i;
    return -1;
}

/* ---- suggestions ------------------------------------------------------------------------------------------------------ */
static const char *nearest_key(const char *name, int command)
{
    /* among the command's keys; "hidden_size" is as near to arch.hidden_size as can be without being it. NULL: none is, more
     * than half of it would have to change */
    const char *best = NULL, *tail = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
    int least = 0;
    for (int i = 0; i < CONFIG_COUNT; i++) {
        if (!(keys[i].commands & command)) continue;
        const char *dot = strrchr(keys[i].name, '.');
        int d = 2 * tool_edit_distance(name, keys[i].name);
        if (dot || tail != name) {
            int e = 2 * tool_edit_distance(tail, dot ? dot + 1 : keys[i].name) + 1;
            if (e < d) d = e;
        }
        if (!best || d < least) best = keys[i].name, least = d;
    }
    return least <= (int)strlen(tail) + 1 ? best : NULL;
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */
static int is_null(const char *text)
{
    return !*text || strcmp(text, "null") == 0 || strcmp(text, "~") == 0 || strcmp(text, "None") == 0;
}

static int parse_number(const char *text, double *x)
{
    char *end;
    if (!*text || isspace((unsigned char)*text) || strpbrk(text, "xXnN")) return 0; /* no hexadecimal, inf, nan */
    *x = strtod(text, &end);
    return *end == 0;
}

static int same_letters(const char *a, const char *b)
{
    while (*a && tolower((unsigned char)*a) == *b) a++, b++;
    return *a == *b;
}

int config_parse_flag(const char *text, int *value)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"}, {"true", "yes", "on", "1"}};
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 4; i++)
            if (same_letters(text, words[v][i])) return *value = v, 1;
    return 0;
}

static int parse_word(const char *words, const char *text)
{
    size_t n = strlen(text);
    for (int i = 0;; i++) {
        const char *end = strchr(words, '|');
        size_t length = end ? (size_t)(end - words) : strlen(words);
        if (n == length && memcmp(words, text, n) == 0) return i;
        if (!end) return -1;
        words = end + 1;
    }
}

static void copy_text(char field[TOOL_PATH], const char *text)
{
    /* "\${" is how "${" is written that stands for itself */
    size_t n = 0;
    for (; *text && n + 1 < TOOL_PATH; text++)
        if (strncmp(text, "\\${", 3) != 0) field[n++] = *text;
    field[n] = 0;
}

static const char *reference(const char *text)
{
    /* the first ${ that does not stand for itself, as "\${" does; NULL: none */
    for (const char *at = text; (at = strstr(at, "${")) != NULL; at += 2)
        if (at == text || at[-1] != '\\') return at;
    return NULL;
}

static int store(config *c, int i, const char *text, const char *where)
{
    /* converts `text` into the field of key i; "" for where means a default */
    const config_key *k = &keys[i];
    char *field = (char *)c + k->offset, at[112] = "", low[40], high[40];
    if (*where) snprintf(at, sizeof at, " (%s)", where);
    int unset = is_null(text);
    if (unset && *text && k->words && parse_word(k->words, "none") >= 0) text = "none", unset = 0; /* Python's None */
    if (unset && *k->def && k->kind != CONFIG_KIND_TEXT) return tool_usage("%s has no value%s", k->name, at);
    double x = 0;
    int v = 0;
    switch (k->kind) {
    case CONFIG_KIND_INT:
        if (!unset && (!parse_number(text, &x) || (x > -1e18 && x < 1e18 && x != (double)(int64_t)x)))
            return tool_usage("%s is \"%.80s\", expected a whole number%s", k->name, text, at);
        if (!unset && !(x >= k->low && x <= k->high))
            return tool_usage("%s is %.80s, expected %.0f to %.0f%s", k->name, text, k->low, k->high, at);
        *(int64_t *)(void *)field = (int64_t)x;
        break;
    case CONFIG_KIND_REAL:
        if (!unset && !parse_number(text, &x)) return tool_usage("%s is \"%.80s\", expected a number%s", k->name, text, at);
        if (!unset && !(x >= k->low && x <= k->high))
            return tool_usage("%s is %.80s, expected %s to %s%s", k->name, text, tool_number(low, k->low),
                              tool_number(high, k->high), at);
        *(double *)(void *)field = x;
        break;
    case CONFIG_KIND_FLAG:
        if (!config_parse_flag(text, &v)) return tool_usage("%s is \"%.80s\", expected true or false%s", k->name, text, at);
        *(int *)(void *)field = v;
        break;
    case CONFIG_KIND_WORD:
        v = unset ? -1 : parse_word(k->words, text);
        if (!unset && v < 0) return tool_usage("%s is \"%.80s\", expected %s%s", k->name, text, k->words, at);
        *(int *)(void *)field = v;
        break;
    case CONFIG_KIND_TEXT: copy_text(field, unset ? "" : text); break;
    }
    return TOOL_OK;
}

static int take(config *c, int index, const char *text, const char *where)
{
    snprintf(c->raw[index].text, TOOL_PATH, "%s", text);
    return store(c, index, text, where);
}

static int same_value(const char *a, const char *b)
{
    double x, y;
    int v, w;
    if (strcmp(a, b) == 0) return 1;
    if (parse_number(a, &x) && parse_number(b, &y)) return x == y;
    return (config_parse_flag(a, &v) && config_parse_flag(b, &w) && v == w) || (is_null(a) && is_null(b));
}

static int is_from_data(const char *name)
{
    /* what a run's all_config.yaml tells of its data, for readers of its checkpoints */
    return strcmp(name, "seq_len") == 0 || strcmp(name, "vocab_size") == 0 || strcmp(name, "num_puzzle_identifiers") == 0;
}

static int list_word(const char **list, char word[TOOL_PATH])
{
    /* the next of [a, 'b', {name: c}]; 0: there is none */
    for (;;) {
        *list += strspn(*list, "[]{}, \"'\t");
        size_t n = strcspn(*list, "[]{},\"'");
        while (n > 0 && (*list)[n - 1] == ' ') n--;
        if (n == 0) return 0;
        if (strncmp(*list, "name:", 5) == 0) {
            *list += 5;
            continue;
        }
        if (n >= TOOL_PATH) n = TOOL_PATH - 1;
        memcpy(word, *list, n);
        word[n] = 0;
        *list += n;
        return 1;
    }
}

static int is_data(int index) { return index == CONFIG_data_path || index == CONFIG_data_paths_test; }

static int two_data_sets(const char *name, const char *first, const char *second, const char *where)
{
    return tool_usage("%s names %.200s and %.200s%s%s%s; a run has one data set", name, first, second, *where ? " (" : "",
                      where, *where ? ")" : "");
}

int config_set(config *c, const char *name, const char *value, config_origin origin, const char *where)
{
    int i = find_key(name);
    if (i < 0 && origin < CONFIG_COMMAND && (is_from_data(name) || (origin == CONFIG_BASE && strncmp(name, "arch.", 5) != 0)))
        return TOOL_OK; /* the public code's extras, a later version's */
    if (i < 0) {
        const char *near = nearest_key(name, c->command);
        if (!near)
            return tool_usage("no key \"%.80s\"%s%s%s; hrm %s --help lists them", name, *where ? " (" : "", where,
                              *where ? ")" : "", command_name(c->command));
        return tool_usage("no key \"%.80s\"%s%s%s; did you mean %s?", name, *where ? " (" : "", where, *where ? ")" : "", near);
    }
    if (origin == CONFIG_COMMAND && !(keys[i].commands & c->command)) {
        const char *near = nearest_key(name, c->command), *command = command_name(c->command);
        return near ? tool_usage("%s is not a key of hrm %s; the nearest one is %s", name, command, near)
                    : tool_usage("%s is not a key of hrm %s; hrm %s --help lists them", name, command, command);
    }
    if (origin == CONFIG_BASE && c->command != CONFIG_TRAIN && (keys[i].flags & CONFIG_HERE)) return TOOL_OK;
    config_raw *raw = &c->raw[i];
    if (origin == CONFIG_BASE && raw->origin > CONFIG_BASE) return TOOL_OK; /* said anew */
    if (strlen(value) >= sizeof raw->text)
        return tool_usage("%s: a value of %zu characters, expected %zu at most", name, strlen(value), sizeof raw->text - 1);
    /* a run that goes on keeps its rules */
    int fixed = raw->origin == CONFIG_BASE && origin > CONFIG_BASE && !reference(value) &&
                c->command == CONFIG_TRAIN && !(keys[i].flags & (CONFIG_FREE | CONFIG_LOCAL | CONFIG_MORE));
    if (fixed && !same_value(value, raw->text)) {
        tool_say("%s is %s (%s), but %s in the run that is to be used (%s)", name, value, *where ? where : "command line",
                   raw->text, raw->where);
        return TOOL_ERROR;
    }
    memmove(raw->text, value, strlen(value) + 1);
    snprintf(raw->where, sizeof raw->where, "%s", where);
    raw->origin = origin;
    if (reference(value)) return TOOL_OK; /* known when everything is */
    return store(c, i, raw->text, raw->where);
}

/* ---- files ------------------------------------------------------------------------------------------------------------ */
typedef struct config_reader {
    config       *c;
    config_origin origin;
    const char   *path;
    const char   *choice; /* arch=NAME of the command line, or NULL */
    const char *root;     /* the folder of the primary file, from which absolute groups are looked for */
    int aside;            /* the file lies beside a checkpoint: of the model it is the library's to read */
    int           depth;
} config_reader;

static int read_file(config_reader *r, const char *path, const char *prefix);

static int set_node(config_reader *r, const hrm_json *member, const char *prefix)
{
    /* a member of a mapping: a value, or another mapping whose keys continue the name */
    static const char *const others[] = {"defaults", "hydra", "wandb_version", "_wandb"};
    char name[160], where[96], list[TOOL_PATH];
    int length = snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", member->key);
    snprintf(where, sizeof where, "%.60s line %d", tool_basename(r->path), member->line);
    if (length >= (int)sizeof name) return tool_usage("%s: a key of %d letters", where, length);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0) return TOOL_OK;
    const hrm_json *value_of = hrm_json_get(member, "value"); /* Weights & Biases writes {key: {desc: …, value: …}} */
    int wrapped = value_of && member->count == 1 + (size_t)(hrm_json_get(member, "desc") != NULL);
    const hrm_json *node = wrapped ? value_of : member;
    int i = find_key(name);
    if (r->aside && strcmp(name, "arch") == 0) return TOOL_OK;
    if (r->aside && node->type != HRM_JSON_OBJECT && (i < 0 || !(keys[i].commands & r->c->command))) return TOOL_OK;
    if (r->origin == CONFIG_BASE && node->type == HRM_JSON_ARRAY && i < 0) return config_set(r->c, name, "", r->origin, where);
    if (node->type == HRM_JSON_OBJECT) {
        for (const hrm_json *m = node->child; m; m = m->next) {
            int status = set_node(r, m, name);
            if (status != TOOL_OK) return status;
        }
        return TOOL_OK;
    }
    const char *value = node->type == HRM_JSON_NULL ? "null" : node->string;
    if (node->type == HRM_JSON_ARRAY && i >= 0 && is_data(i)) { /* of data sets its only one, whatever is in the name */
        const hrm_json *first = node->child, *second = first ? first->next : NULL;
        if (first && (!first->string || (second && !second->string)))
            return tool_usage("%s: %s: expected a list of words", where, name);
        if (second) return two_data_sets(name, first->string, second->string, where);
        value = first ? first->string : "";
    } else if (node->type == HRM_JSON_ARRAY) {
        int words = i == CONFIG_eval_save_outputs || i == CONFIG_evaluators; /* no brackets: not longer than it was given */
        size_t n = (size_t)!words;
        strcpy(list, words ? "" : "[");
        for (const hrm_json *m = node->child; m; m = m->next) {
            const hrm_json *word = m->type == HRM_JSON_OBJECT ? hrm_json_get(m, "name") : m; /* of an evaluator */
            if (!word || !word->string) return tool_usage("%s: %s: expected a list of words", where, name);
            int added = snprintf(list + n, sizeof list - n, "%s%s", m == node->child ? "" : ",", word->string);
            if (added < 0 || (size_t)added + 1 + (size_t)!words > sizeof list - n)
                return tool_usage("%s: %s: the list is too long", where, name);
            n += (size_t)added;
        }
        strcpy(list + n, words ? "" : "]");
        value = list;
    }
    return config_set(r->c, name, value ? value : "", r->origin, where);
}

static int set_own(config_reader *r, const hrm_json *root, const char *prefix)
{
    for (const hrm_json *m = root->child; m; m = m->next) {
        int status = set_node(r, m, prefix);
        if (status != TOOL_OK) return status;
    }
    return TOOL_OK;
}

static int read_default(config_reader *r, const hrm_json *entry, const char *group, const char *name, const char *prefix)
{
    /* one entry of `defaults`, GROUP: NAME, is the file GROUP/NAME.yaml; its keys go under GROUP, or with GROUP@PACKAGE under
     * PACKAGE. With a slash in front it is looked for from the primary file's folder, and its keys begin at the top. */
    char dir[TOOL_PATH], path[TOOL_PATH], file[TOOL_PATH], under[160], where[96], key[160];
    int optional = 0;
    for (int word = 1; word;) {
        word = strncmp(group, "override ", 9) == 0 || strncmp(group, "optional ", 9) == 0;
        optional |= word && group[1] == 'p';
        group += word ? 9 : 0;
    }
    if (strncmp(group, "hydra/", 6) == 0 || strncmp(group, "/hydra/", 7) == 0) return TOOL_OK; /* how Hydra itself runs */
    int absolute = *group == '/';
    group += absolute;
    if (r->choice && strcmp(group, "arch") == 0) name = r->choice;
    snprintf(where, sizeof where, "%.60s line %d", tool_basename(r->path), entry->line);
    size_t n = strcspn(group, "@");
    const char *package = group[n] ? group + n + 1 : NULL;
    const char *end = strlen(name) > 5 && strcmp(name + strlen(name) - 5, ".yaml") == 0 ? "" : ".yaml";
    int length = snprintf(file, sizeof file, "%.*s%s%s%s", (int)n, group, n ? "/" : "", name, end);
    if (length >= (int)sizeof file || n >= sizeof key || !tool_directory(dir, r->path) ||
        !tool_join(path, absolute ? r->root : dir, file))
        return tool_usage("%s: defaults: the path is too long", where);
    if (absolute) prefix = "";
    for (size_t i = 0; i <= n; i++) key[i] = (char)(i == n ? 0 : group[i] == '/' ? '.' : group[i]);
    if (package && strncmp(package, "_global_", 8) == 0) prefix = "", package = package[8] == '.' ? package + 9 : "";
    length = snprintf(under, sizeof under, "%s%s%s", prefix, *prefix && *(package ? package : key) ? "." : "",
                      package ? package : key);
    if (length >= (int)sizeof under) return tool_usage("%s: defaults: a key of %d letters", where, length);
    if (*under && strcmp(under, "arch") != 0 && strncmp(under, "arch.", 5) != 0)
        return tool_usage(
            "%s: defaults: \"%.60s\" is a group of your own; hrm knows the group arch: write the keys of %.80s that it has "
            "themselves, or the group as %.60s@_global_",
            where, group, file, group);
    if (!tool_exists(path)) {
        hrm_arch known;
        if (optional) return TOOL_OK;
        if (strcmp(under, "arch") == 0 && hrm_arch_find(&known, name) == HRM_OK) /* one of ours */
            return r->choice ? TOOL_OK : config_set(r->c, "arch", name, r->origin, where);
    }
    if (r->choice && strcmp(under, "arch") == 0) r->c->arch_is_file = 1;
    return read_file(r, path, under);
}

static int read_defaults(config_reader *r, const hrm_json *root, const hrm_json *defaults, const char *prefix)
{
    int self = 0;
    for (const hrm_json *d = defaults->child; d; d = d->next) {
        int status = TOOL_OK;
        if (d->type == HRM_JSON_STRING && strcmp(d->string, "_self_") == 0) {
            self = 1;
            status = set_own(r, root, prefix);
        } else if (d->type == HRM_JSON_STRING) {
            status = read_default(r, d, "", d->string, prefix);
        } else if (d->type == HRM_JSON_OBJECT && d->child && d->child->type == HRM_JSON_STRING) {
            status = read_default(r, d, d->child->key, d->child->string, prefix);
        } else if (!(d->type == HRM_JSON_OBJECT && d->child && d->child->type == HRM_JSON_NULL)) {
            status = tool_usage("%s line %d: defaults: expected \"- GROUP: NAME\" or \"- _self_\"", r->path, d->line);
        }
        if (status != TOOL_OK) return status;
    }
    return self ? TOOL_OK : set_own(r, root, prefix);
}

static int read_file(config_reader *r, const char *path, const char *prefix)
{
    size_t length, n = strlen(path);
    hrm_json_document *doc;
    if (r->depth >= 8) return tool_error("%s: defaults name each other in a circle", path);
    char *text = tool_read_text(path, &length);
    if (!text) return TOOL_ERROR;
    int json = n > 5 && strcmp(path + n - 5, ".json") == 0;
    hrm_status parsed = json ? hrm_json_parse(&doc, text, length, path, NULL) : hrm_yaml_parse(&doc, text, length, path, NULL);
    free(text);
    if (parsed != HRM_OK) return tool_failed();
    if (hrm_json_expand(doc, 0) != HRM_OK) { /* ${KEY} stays: the command line may say that key anew */
        hrm_json_close(doc);
        return tool_failed();
    }
    const hrm_json *root = hrm_json_root(doc), *defaults = hrm_json_get(root, "defaults");
    config_reader inner = *r;
    inner.path = path;
    inner.depth++;
    int status = TOOL_OK;
    if (root->type == HRM_JSON_OBJECT)
        status = defaults && defaults->type == HRM_JSON_ARRAY && r->origin != CONFIG_BASE
                     ? read_defaults(&inner, root, defaults, prefix)
                     : set_own(&inner, root, prefix);
    else if (root->type != HRM_JSON_NULL) status = tool_error("%s: expected keys and values", path);
    hrm_json_close(doc);
    return status;
}

static int read_chosen(config *c, const char *path, config_origin origin, const char *choice, int aside)
{
    config_reader r;
    char dir[TOOL_PATH];
    memset(&r, 0, sizeof r);
    if (!(r.root = tool_directory(dir, path))) return tool_usage("%.80s…: the path is too long", path);
    r.c = c;
    r.origin = origin;
    r.path = path;
    r.choice = choice;
    r.aside = aside;
    return read_file(&r, path, "");
}

int config_read_file(config *c, const char *path, config_origin origin) { return read_chosen(c, path, origin, NULL, 0); }

/* ---- the whole of it -------------------------------------------------------------------------------------------------- */
config *config_create(int command)
{
    config *c = (config *)calloc(1, sizeof *c);
    if (!c) {
        tool_say("no memory for the configuration");
        return NULL;
    }
    c->command = command;
    for (int i = 0; i < CONFIG_COUNT; i++) {
        default_text(c->raw[i].text, &keys[i]);
        if (!reference(c->raw[i].text)) {
            char text[64];
            store(c, i, default_text(text, &keys[i]), "");
        }
    }
    if (command == CONFIG_SOLVE) c->halt = 1; /* a person waits for it */
    return c;
}

void config_free(config *c) { free(c); }

int config_is_set(const config *c, int index) { return c->raw[index].origin != CONFIG_DEFAULT; }

const char *config_teller(const config *c, const char *key)
{
    for (int i = 0; i < CONFIG_COUNT; i++) {
        if (!(keys[i].flags & CONFIG_ARCH) || strcmp(own_name(i), key) != 0) continue;
        if (c->raw[i].origin == CONFIG_COMMAND) return "the command line";
        return c->raw[i].origin == CONFIG_DEFAULT ? "the default" : c->raw[i].where;
    }
    return NULL;
}

void config_print_named(const config *c)
{
    for (int i = 0; i < CONFIG_COUNT; i++)
        if (!(keys[i].flags & CONFIG_ARCH) && c->raw[i].origin == CONFIG_NAMED)
            printf("  %-24s  %-23s  %s\n", keys[i].name, c->raw[i].text, c->raw[i].where);
}

static const char *find_argument(int argc, char **argv, const char *name)
{
    /* the value of the last NAME=VALUE, or NULL */
    const char *value = NULL;
    size_t n = strlen(name);
    for (int i = 1; i < argc; i++) {
        const char *key = argv[i] + strspn(argv[i], "+"); /* as Hydra has them */
        if (strncmp(key, name, n) == 0 && key[n] == '=') value = key + n + 1;
    }
    return value;
}

int config_command(int command, int argc, char **argv, void (*usage)(void), int (*run)(config *c))
{
    config *c = config_create(command);
    if (!c) return TOOL_ERROR;
    int status = config_parse(c, argc, argv);
    if (status == TOOL_OK && c->help) usage();
    else if (status == TOOL_OK) status = run(c);
    config_free(c);
    return status;
}

int config_newest_step(char path[TOOL_PATH], const char *given)
{
    static const char *const endings[] = {"", ".safetensors", ".pt", ".pth", ".bin"}; /* the one written last: .safetensors */
    char best[TOOL_PATH] = "";
    int64_t newest = -1;
    if (strlen(given) >= TOOL_PATH) return tool_usage("%.80s…: the path is too long", given);
    strcpy(path, given);
    if (!tool_is_directory(given)) return TOOL_OK;
    DIR *d = opendir(given);
    if (!d) return tool_error("%s: %s", given, strerror(errno));
    for (struct dirent *e; errno = 0, (e = readdir(d)) != NULL;) {
        int64_t step = tool_step_of(e->d_name);
        int known = 0;
        for (int i = 0; i < 5 && step >= 0; i++)
            known |= strcmp(e->d_name + 5 + strspn(e->d_name + 5, "0123456789"), endings[i]) == 0;
        if (!known || step < newest || (step == newest && !strstr(e->d_name, ".safetensors"))) continue;
        if (!tool_join(path, given, e->d_name) || tool_is_directory(path)) continue;
        strcpy(best, path);
        newest = step;
    }
    int reason = errno;
    closedir(d);
    if (reason) return tool_error("%s: %s", given, strerror(reason));
    if (newest < 0) {
        if (tool_join(path, given, "model.safetensors") && tool_exists(path))
            return TOOL_OK; /* as other libraries name theirs */
        int stopped = tool_join(path, given, "state.safetensors") && tool_exists(path);
        return tool_error("%s: no checkpoint step_N in this folder%s%s", given,
                          stopped ? ": its run stopped before one was due, and goes on with hrm train resume=" : "",
                          stopped ? given : "");
    }
    strcpy(path, best);
    return TOOL_OK;
}

static int beside(char path[TOOL_PATH], const char *checkpoint)
{
    /* the file that tells of a checkpoint's run: NAME.yaml, NAME without and with its ending, or all_config.yaml; 0: none */
    char dir[TOOL_PATH], name[TOOL_PATH + 8];
    if (strlen(checkpoint) >= TOOL_PATH || !tool_directory(dir, checkpoint)) return 0;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s", i < 2 ? tool_basename(checkpoint) : "all_config");
        char *dot = strrchr(name, '.');
        if (i == 0 && dot && dot > name) *dot = 0;
        strcat(name, ".yaml");
        if (!tool_join(path, dir, name)) continue;
        if (tool_exists(path) || (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)) return 1;
    }
    return 0;
}

int config_read_run(config *c, const char *checkpoint)
{
    char path[TOOL_PATH];
    return beside(path, checkpoint) ? read_chosen(c, path, CONFIG_BASE, NULL, 1) : TOOL_OK;
}

static int is_family(int index)
{
    static const int family[] = {
#define FAMILY(a, kind, key, field, ...) CONFIG_##field,
        HRM_FAMILY_KEYS(FAMILY, 0)
#undef FAMILY
    };
    for (size_t i = 0; i < sizeof family / sizeof family[0]; i++)
        if (family[i] == index) return 1;
    return 0;
}

static int set_family(config *c, const char *path)
{
    /* what HRM has not stands in a run's configuration only where it is not the default: the rest is said too, by its
     * absence */
    char value[64], where[sizeof c->raw[0].where];
    int status = TOOL_OK;
    snprintf(where, sizeof where, "%.80s", path);
    for (int i = 0; i < CONFIG_COUNT && status == TOOL_OK; i++) {
        if (!is_family(i) || c->raw[i].origin != CONFIG_DEFAULT) continue;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(keys[i].def, "|"), keys[i].def);
        status = config_set(c, keys[i].name, value, CONFIG_BASE, where);
    }
    return status;
}

static int read_base(config *c, int argc, char **argv)
{
    /* the all_config.yaml of the run that is to go on, or beside the checkpoint that is used */
    char path[TOOL_PATH], given[TOOL_PATH];
    int resumes = c->command == CONFIG_TRAIN;
    const char *name = resumes ? "resume" : "checkpoint", *value = find_argument(argc, argv, name);
    if (!value || is_null(value)) return TOOL_OK;
    if (strlen(value) >= sizeof given) return tool_usage("%s: the path is too long", name);
    copy_text(given, value);
    if (!resumes) {
        int status = config_newest_step(path, given);
        return status == TOOL_OK ? config_read_run(c, path) : status;
    }
    if (!tool_join(path, given, "all_config.yaml")) return tool_usage("resume: the path is too long");
    if (!tool_is_directory(given)) return tool_error("%s: resume: no such folder", given);
    if (!tool_exists(path)) return tool_error("%s: resume: no all_config.yaml in it, so it holds no run", given);
    int status = config_read_file(c, path, CONFIG_BASE);
    return status == TOOL_OK ? set_family(c, path) : status;
}

void config_skip_evaluators(const config *c)
{
    char name[TOOL_PATH], list[200] = "";
    const char *rest = c->evaluators;
    size_t n = 0;
    while (list_word(&rest, name) && n < sizeof list - 64)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%.60s", n ? ", " : "", name);
    if (n) tool_note("evaluators: %s: there is none of that name here, skipped", list);
}

int config_is_key(const char *text)
{
    /* KEY= with letters, digits, dots and underscores; "+KEY=" and "++KEY=" as Hydra has them */
    while (*text == '+') text++;
    if (!isalpha((unsigned char)*text)) return 0;
    while (isalnum((unsigned char)*text) || *text == '_' || *text == '.') text++;
    return *text == '=';
}

int config_set_argument(config *c, const char *arg)
{
    char key[160];
    while (*arg == '+') arg++;
    const char *value = strchr(arg, '=') + 1;
    size_t n = (size_t)(value - 1 - arg);
    if (n >= sizeof key) return tool_usage("no key \"%.80s…\"", arg);
    memcpy(key, arg, n);
    key[n] = 0;
    size_t length = strlen(value);
    if (!data_is_utf8(value, length)) /* no file that a run writes could tell it */
        return tool_usage("%s: a value that is not UTF-8 text (command line)", key);
    int i = find_key(key);
    if (i >= 0 && !length && keys[i].kind != CONFIG_KIND_TEXT) /* of a variable that is not set, not a wish */
        return tool_usage("%s has no value (null: as if not given)", keys[i].name);
    char path[TOOL_PATH], second[TOOL_PATH];
    if (i >= 0 && is_data(i) && *value == '[' && length < sizeof path) { /* data_paths=[DIR] */
        path[0] = 0;
        if (list_word(&value, path) && list_word(&value, second)) return two_data_sets(key, path, second, "");
        value = path;
    }
    return config_set(c, key, value, CONFIG_COMMAND, "");
}

int config_parse(config *c, int argc, char **argv)
{
    c->positional = argv;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return c->help = 1, TOOL_OK;
    int status = read_base(c, argc, argv);
    const char *choice = find_argument(argc, argv, "arch");
    for (int i = 1; i < argc && status == TOOL_OK;
         i++) { /* files first, whatever the order: the command line has the last word */
        const char *path = NULL;
        if (strcmp(argv[i], "--config") == 0) {
            if (i + 1 == argc) return tool_usage("--config: no file named");
            path = argv[++i];
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            path = argv[i] + 9;
        }
        if (path) status = read_chosen(c, path, CONFIG_FILE, choice, 0);
    }
    int only_positional = 0;
    for (int i = 1; i < argc && status == TOOL_OK; i++) {
        char *arg = argv[i];
        if (!only_positional && strcmp(arg, "--") == 0) {
            only_positional = 1;
        } else if (!only_positional && strcmp(arg, "--config") == 0) {
            i++;
        } else if (!only_positional && strncmp(arg, "--config=", 9) == 0) {
        } else if (!only_positional && strcmp(arg, "--show-steps") == 0 && c->command == CONFIG_SOLVE) {
            c->show_steps = 1;
        } else if (!only_positional && strcmp(arg, "--lines") == 0 && c->command == CONFIG_SOLVE) {
            c->lines = 1;
        } else if (!only_positional && strcmp(arg, "--json") == 0 && c->command == CONFIG_SOLVE) {
            c->json = 1;
        } else if (!only_positional && arg[0] == '-' && arg[1] == '-') {
            return tool_usage("%s has no option \"%.80s\"; keys are given as KEY=VALUE", command_name(c->command), arg);
        } else if (!only_positional && config_is_key(arg)) {
            status = config_set_argument(c, arg);
        } else if (c->command == CONFIG_SOLVE || c->command == CONFIG_INFO) {
            c->positional[c->num_positional++] = arg;
        } else {
            return tool_usage("%s: \"%.80s\" is neither KEY=VALUE nor an option%s", command_name(c->command), arg,
                              only_positional ? ": after -- there are none" : "");
        }
    }
    for (int i = 0; i < 2 && status == TOOL_OK; i++) { /* of a folder, its newest step */
        char *field = i ? c->load_checkpoint : c->checkpoint, path[TOOL_PATH];
        int index = i ? CONFIG_load_checkpoint : CONFIG_checkpoint;
        if (!*field || (i && c->raw[index].origin == CONFIG_BASE)) continue;
        status = config_newest_step(path, field);
        if (status == TOOL_OK) status = take(c, index, path, "");
    }
    return status == TOOL_OK ? config_finish(c) : status;
}

static int resolve(config *c, int i, int depth)
{
    /* ${.name}: beside this key; ${..name}: one level up; ${a.b}: from the root; of a text it may be a part */
    config_raw *raw = &c->raw[i];
    char name[320], text[160], whole[TOOL_PATH];
    for (const char *from; (from = reference(raw->text)) != NULL;) {
        const char *end = strchr(from, '}');
        size_t before = (size_t)(from - raw->text), n = end ? (size_t)(end - from) - 2 : sizeof text;
        if (n >= sizeof text || (keys[i].kind != CONFIG_KIND_TEXT && (before || end[1])))
            return tool_usage("%s is \"%.80s\", expected ${KEY}", keys[i].name, raw->text);
        memcpy(text, from + 2, n);
        text[n] = 0;
        const char *rest = text;
        *name = 0;
        if (*rest == '.') snprintf(name, sizeof name, "%s", keys[i].name);
        for (; *rest == '.'; rest++) {
            char *dot = strrchr(name, '.');
            if (dot) *dot = 0;
            else *name = 0;
        }
        size_t m = strlen(name);
        snprintf(name + m, sizeof name - m, "%s%s", m ? "." : "", rest);
        int j = find_key(name);
        if (j < 0 || depth > 8)
            return tool_usage("%s is \"%.80s\", which %s", keys[i].name, raw->text,
                              j < 0 ? "names no key" : "leads in a circle");
        int status = resolve(c, j, depth + 1);
        if (status != TOOL_OK) return status;
        const char *value = (before || end[1]) && is_null(c->raw[j].text) ? "" : c->raw[j].text;
        if (snprintf(whole, sizeof whole, "%.*s%s%s", (int)before, raw->text, value, end + 1) >= (int)sizeof whole)
            return tool_usage("%s is longer than %d characters", keys[i].name, TOOL_PATH - 1);
        status = reference(whole) ? TOOL_OK : store(c, i, whole, raw->where);
        if (status != TOOL_OK) return status;
        strcpy(raw->text, whole);
    }
    return TOOL_OK;
}

/* ---- defaults by name ------------------------------------------------------------------------------------------------- */
static const char *const trm_class = "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1";

static int is_trm(const char *name)
{
    const char *at = strstr(name, strchr(trm_class, '.') + 1);
    return at && (at == name || at[-1] == '.' || at[-1] == '/');
}

static int apply_sets(config *c, hrm_arch arch, config_origin below, const char *where)
{
    /* what an arch sets (KEY=VALUE, with the names that the library has for them) where nothing above `below` was said */
    static const char *const sets[] = {
#define CONFIG__SETS(index, name, set) set,
        HRM_ARCHS(CONFIG__SETS)
#undef CONFIG__SETS
    };
    char name[64], value[64];
    int length = 0, status = TOOL_OK;
    /* HRM sets nothing, being the default; who names it means it, of a checkpoint too */
    const char *own = HRM_SIZE_SETS("512", "8", "4", "2", "2", "16") " mlp_t=0 mlp_norm=0 no_ACT_continue=0";
    const char *p = arch == HRM_ARCH_HRM ? own : sets[arch];
    for (; status == TOOL_OK && sscanf(p, " %63[^=]=%63s%n", name, value, &length) == 2; p += length) {
        int i = 0;
        if (strcmp(name, "batch_size") == 0) strcpy(name, "global_batch_size");
        while (strcmp(own_name(i), name) != 0) i++;
        if (keys[i].kind == CONFIG_KIND_FLAG) strcpy(value, strcmp(value, "1") == 0 ? "true" : "false");
        int trains = c->command == CONFIG_TRAIN || c->command == CONFIG_INFO;
        if (!trains && !(keys[i].flags & CONFIG_ARCH)) continue;
        const config_raw *raw = &c->raw[i];
        if (raw->origin == CONFIG_BASE && below == CONFIG_NAMED && !same_value(raw->text, value))
            return tool_error("%s is %s (%s), but %s in the run that is to be used (%s)", keys[i].name, value, where, raw->text,
                              raw->where);
        if (raw->origin <= below) status = config_set(c, keys[i].name, value, CONFIG_NAMED, where);
    }
    return status;
}

/* preset=NAME: arch=fast with other keys, and what comes of it. */
static const struct {
    const char *name, *sets, *help;
} presets[] = {
#define SMALL_FAST                                                                                                             \
    "arch.puzzle_emb_ndim=0 arch.loss.label_smoothing=0.1 arch.loss.q_loss_weight=0.5 arch.H_cycles=2 arch.L_cycles=2 "
    {"cpu-small",
     SMALL_FAST "arch.hidden_size=48 arch.num_heads=4 arch.halt_max_steps=4 global_batch_size=64 lr=3e-3 lr_min_ratio=0.02 "
                "lr_warmup_steps=40 weight_decay=0.5 muon_weight_decay=1 ema_rate=0.95 ema_from=0 steps=400",
     "4x4 Sudoku with 7 givens: 92.4 % of 1,000 unseen boards, in 39 processor seconds"},
    {"cpu",
     SMALL_FAST "arch.hidden_size=64 arch.halt_max_steps=8 global_batch_size=32 lr=2e-3 lr_min_ratio=0.02 weight_decay=0.1 "
                "muon_weight_decay=1 ema_rate=0.95 ema_from=0 steps=1200",
     "9x9 Sudoku with 45 givens: 82 % of 1,000 unseen boards, all of 256 with votes=8, in 5 processor minutes"},
    {"gpu",
     "device=cuda arch.H_cycles_start=3 arch.L_cycles_start=6 curriculum_steps=3000 steps=6500 ema_from=4062 "
     "eval_batch_size=768 log_interval=100 save_interval=0",
     "Sudoku-Extreme from 1,000 puzzles with 1,000 variants each: 89 % of the test puzzles in 6.5 minutes on an H100"},
#undef SMALL_FAST
};
enum { NUM_PRESETS = sizeof presets / sizeof presets[0] };

static int find_preset(const config *c, const char **sets)
{
    /* before arch=NAME is looked at: it is fast's */
    char names[80] = "";
    *sets = NULL;
    if (!*c->preset) return TOOL_OK;
    for (int i = 0; i < NUM_PRESETS; i++) {
        if (strcmp(presets[i].name, c->preset) == 0) *sets = presets[i].sets;
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", presets[i].name);
    }
    if (!*sets) return tool_usage("no preset \"%.80s\"; there are %s", c->preset, names);
    if (*c->resume) return tool_usage("preset=%.80s is for a new run: one that goes on keeps its own", c->preset);
    if (*c->arch && (c->arch_is_file || strcmp(c->arch, "fast") != 0))
        return tool_usage("preset=%.80s is of arch=fast, not %.80s", c->preset, c->arch);
    return TOOL_OK;
}

static int apply_preset(config *c, const char *sets)
{
    char name[64], value[64], where[96];
    int length = 0, status = TOOL_OK;
    snprintf(where, sizeof where, "preset=%.80s", c->preset);
    for (; status == TOOL_OK && sscanf(sets, " %63[^=]=%63s%n", name, value, &length) == 2; sets += length) {
        int i = find_key(name);
        if (c->raw[i].origin > CONFIG_NAMED || (i == CONFIG_steps && c->raw[CONFIG_epochs].origin > CONFIG_NAMED)) continue;
        status = config_set(c, name, value, CONFIG_NAMED, where);
    }
    return status;
}

static int apply_names(config *c)
{
    /* preset=NAME and arch=NAME, then the class of the public TRM code */
    char where[96];
    const char *preset;
    hrm_arch arch;
    int status = find_preset(c, &preset);
    if (status == TOOL_OK && preset && !*c->arch) status = config_set(c, "arch", "fast", CONFIG_NAMED, "preset");
    if (status != TOOL_OK) return status;
    if (*c->arch && !c->arch_is_file) {
        if (hrm_arch_find(&arch, c->arch) != HRM_OK) return tool_usage("%s", hrm_error_message());
        snprintf(where, sizeof where, "arch=%.80s", c->arch);
        status = apply_sets(c, arch, CONFIG_NAMED, where);
        if (arch == HRM_ARCH_FAST && status == TOOL_OK && !config_is_set(c, CONFIG_steps) && !config_is_set(c, CONFIG_epochs))
            status = config_set(c, "steps", "8000", CONFIG_NAMED, where);
        if (arch == HRM_ARCH_FAST && status == TOOL_OK && !config_is_set(c, CONFIG_lr_warmup_steps))
            status = config_set(c, "lr_warmup_steps", "0", CONFIG_NAMED, where);
    }
    if (preset && status == TOOL_OK) status = apply_preset(c, preset);
    if (status != TOOL_OK || !is_trm(c->arch_name) || c->command != CONFIG_TRAIN || !config_is_set(c, CONFIG_arch_name))
        return status;
    status = apply_sets(c, HRM_ARCH_TRM, CONFIG_DEFAULT, "arch.name");
    return status == TOOL_OK ? take(c, CONFIG_H_layers, "0", "arch.name") : status; /* which looks at no H_layers */
}

static int settle_class(config *c)
{
    /* arch.name as all_config.yaml has it: of the public codes' classes the one with so many networks */
    if (is_trm(c->arch_name) == (c->H_layers == 0)) return TOOL_OK;
    return take(c, CONFIG_arch_name, c->H_layers == 0 ? trm_class : keys[CONFIG_arch_name].def, "");
}

static int check_model(const config *c)
{
    /* what contradicts itself, before any data is looked at */
    int64_t P = c->puzzle_emb_len ? c->puzzle_emb_len : (c->puzzle_emb_ndim + c->hidden_size - 1) / c->hidden_size;
    if (c->hidden_size % c->num_heads != 0)
        return tool_usage("arch.hidden_size is %lld, expected a multiple of arch.num_heads, %lld", (long long)c->hidden_size,
                          (long long)c->num_heads);
    if (c->pos_encodings == HRM_ROPE && !c->mlp_t && c->hidden_size / c->num_heads % 2 != 0)
        return tool_usage("arch.hidden_size / arch.num_heads is %lld, expected an even number with arch.pos_encodings=rope",
                          (long long)(c->hidden_size / c->num_heads));
    if (c->mlp_t && c->causal)
        return tool_usage("arch.mlp_t mixes every position with every other, which arch.causal forbids: choose one");
    if (c->grad_H_cycles > c->H_cycles)
        return tool_usage("arch.grad_H_cycles is %lld, more than the %lld of arch.H_cycles", (long long)c->grad_H_cycles,
                          (long long)c->H_cycles);
    if (c->puzzle_emb_ndim > P * c->hidden_size)
        return tool_usage(
            "arch.puzzle_emb_ndim is %lld, more than arch.puzzle_emb_len, %lld, times arch.hidden_size, %lld, holds",
            (long long)c->puzzle_emb_ndim, (long long)P, (long long)c->hidden_size);
    if ((c->H_cycles_start || c->L_cycles_start || c->halt_max_steps_start) && !c->curriculum_steps)
        return tool_usage("arch.%s is %lld, but curriculum_steps=0: it says after how many steps the end is reached",
                          c->H_cycles_start   ? "H_cycles_start"
                          : c->L_cycles_start ? "L_cycles_start"
                                              : "halt_max_steps_start",
                          (long long)(c->H_cycles_start   ? c->H_cycles_start
                                      : c->L_cycles_start ? c->L_cycles_start
                                                          : c->halt_max_steps_start));
    if (c->freeze_weights && c->puzzle_emb_ndim == 0)
        return tool_usage(
            "freeze_weights leaves the puzzle table alone to learn, but arch.puzzle_emb_ndim=0 means there is none");
    if (c->freeze_weights && c->ema)
        return tool_usage("ema averages the weights, which freeze_weights leaves as they are: choose one");
    if (c->global_batch_size % c->grad_accumulation != 0)
        return tool_usage("global_batch_size is %lld, expected a multiple of grad_accumulation, %lld",
                          (long long)c->global_batch_size, (long long)c->grad_accumulation);
    return TOOL_OK;
}

static void note_unused(const config *c)
{
    /* what the command line says and nothing looks at */
    int half = c->device == HRM_CUDA && c->forward_dtype + 1 == HRM_FORWARD_FLOAT16;
    int muon = c->optimizer == HRM_MUON, starts = c->halt_max_steps_start || c->H_cycles_start || c->L_cycles_start;
    const struct {
        int         index, used;
        const char *without;
    } keys_of[] = {
        {CONFIG_muon_lr, muon, "optimizer=muon"},
        {CONFIG_muon_momentum, muon, "optimizer=muon"},
        {CONFIG_muon_weight_decay, muon, "optimizer=muon"},
        {CONFIG_muon_ns_steps, muon, "optimizer=muon"},
        {CONFIG_adam_eps, c->optimizer != HRM_ADAM_ATAN2, "optimizer=adamw"},
        {CONFIG_ema_rate, c->ema, "ema=true"},
        {CONFIG_ema_from, c->ema, "ema=true"},
        {CONFIG_curriculum_steps, starts, "arch.halt_max_steps_start, arch.H_cycles_start or arch.L_cycles_start"},
        {CONFIG_exploration_steps, config_is_set(c, CONFIG_halt_exploration_end), "arch.halt_exploration_end"},
        {CONFIG_halt_exploration_end, c->exploration_steps > 0, "exploration_steps"},
        {CONFIG_early_stop_patience, c->early_stop_accuracy > 0, "early_stop_accuracy"},
        {CONFIG_loss_scale, half, "arch.forward_dtype=float16 device=cuda"},
        {CONFIG_loss_scale_growth_interval, half, "arch.forward_dtype=float16 device=cuda"},
    };
    for (size_t i = 0; i < sizeof keys_of / sizeof keys_of[0]; i++)
        if (c->raw[keys_of[i].index].origin == CONFIG_COMMAND && !keys_of[i].used)
            tool_note("%s does nothing without %s", keys[keys_of[i].index].name, keys_of[i].without);
    if (c->ema && c->steps > 0 && c->ema_from >= c->steps)
        tool_note("ema_from is %lld, and training ends at step %lld: the average never begins", (long long)c->ema_from,
                  (long long)c->steps);
}

int config_finish(config *c)
{
    int named = apply_names(c);
    if (named != TOOL_OK) return named;
    for (int i = 0; i < CONFIG_COUNT; i++) {
        int status = resolve(c, i, 0);
        if (status != TOOL_OK) return status;
    }
    if (c->command == CONFIG_INFO && c->num_positional == 0) return check_model(c);
    if (c->command != CONFIG_TRAIN) return TOOL_OK;
    if (!strstr(c->arch_name, "hrm_act_v1") && !strstr(c->arch_name, "@HierarchicalReasoningModel_ACTV1") &&
        !is_trm(c->arch_name))
        return tool_usage("arch.name is \"%.100s\"; there are hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1 and %s",
                          c->arch_name, trm_class);
    int checked = check_model(c);
    if (checked == TOOL_OK) checked = settle_class(c);
    if (checked != TOOL_OK) return checked;
    note_unused(c);
    if (c->steps > 0) return TOOL_OK; /* eval_interval 0: at the end only */
    if (c->eval_interval == 0) {
        char text[40];
        int64_t published =
            config_is_set(c, CONFIG_eval_interval) ? c->epochs : 10000; /* null is the public code's "at the end" */
        snprintf(text, sizeof text, "%lld", (long long)(c->epochs % published == 0 ? published : c->epochs));
        return take(c, CONFIG_eval_interval, text, "");
    }
    if (c->epochs % c->eval_interval != 0)
        return tool_usage("eval_interval is %lld, expected a divisor of epochs, %lld", (long long)c->eval_interval,
                          (long long)c->epochs);
    return TOOL_OK;
}

static void print_wrapped(const char *text, int column, int width)
{
    /* from `column` on, broken at spaces */
    while (*text) {
        int n = (int)strlen(text);
        if (n > width) {
            n = width;
            while (n > 0 && text[n] != ' ') n--;
            if (n == 0) n = (int)strcspn(text, " "); /* a word longer than that */
        }
        printf("%.*s\n", n, text);
        text += n;
        while (*text == ' ') text++;
        if (*text) printf("%*s", column, "");
    }
}

const char *const config_model_help =
    "  arch.KEY=VALUE              what neither a checkpoint says of its model nor a\n"
    "                              NAME.yaml, all_config.yaml, config.json beside it:\n"
    "                              arch.num_heads, arch.H_cycles, arch.L_cycles,\n"
    "                              arch.halt_max_steps and the other keys of a model\n"
    "                              (see hrm train --help)\n";

void config_help(int command)
{
    enum { COLUMN = 30, WIDTH = 50 }; /* 80 columns */
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const config_key *k = &keys[i];
        if (!(k->commands & command) || (command != CONFIG_TRAIN && (k->flags & CONFIG_ARCH))) continue;
        char def[64];
        default_text(def, k);
        if (i == CONFIG_halt && command == CONFIG_SOLVE) strcpy(def, "adaptive"); /* as config_create has it */
        int n = printf("  %s=%s", k->name, k->words ? k->words : def);
        printf(n < COLUMN ? "%*s" : "\n%*s", n < COLUMN ? COLUMN - n : COLUMN, "");
        char help[512];
        snprintf(help, sizeof help, "%s%s%s%s", k->help, k->words && *def ? " [" : "", k->words ? def : "",
                 k->words && *def ? "]" : "");
        print_wrapped(help, COLUMN, WIDTH);
    }
    if (command != CONFIG_TRAIN) printf("%s", config_model_help);
    for (int i = 0; i < NUM_PRESETS && command == CONFIG_TRAIN; i++) {
        printf("%s  %-28s", i ? "" : "\npreset=NAME: arch=fast with other keys, and what to expect of it\n", presets[i].name);
        print_wrapped(presets[i].help, COLUMN, WIDTH);
        printf("%*s", COLUMN, "");
        print_wrapped(presets[i].sets, COLUMN, WIDTH);
    }
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */
typedef struct config_text { char *data; size_t length, room; } config_text;

static void append(config_text *t, const char *more)
{
    size_t n = strlen(more);
    if (!t->data && t->room) return; /* ran out of memory before */
    if (!t->data || t->length + n + 1 > t->room) {
        t->room = 2 * (t->length + n + 1) + 1024;
        char *data = (char *)realloc(t->data, t->room);
        if (!data) free(t->data);
        t->data = data;
        if (!data) return;
    }
    memcpy(t->data + t->length, more, n + 1);
    t->length += n;
}

static void append_text(config_text *t, const char *s)
{
    /* plain where YAML takes it for a text, in double quotes otherwise */
    static const char *const others[] = {"null", "true", "false", "yes", "no", "on", "off", "none", ".inf", ".nan"};
    double x;
    int plain = *s && !parse_number(s, &x) && s[strlen(s) - 1] != ' ' &&
                (isalpha((unsigned char)*s) || *s == '/' || *s == '.' || *s == '_'); /* from a digit on, Python may see dates */
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) plain = plain && !same_letters(s, others[i]);
    for (const char *c = s; *c; c++)
        plain = plain && (isalnum((unsigned char)*c) || strchr("/._-@+ ", *c)) && (unsigned char)*c < 128;
    if (plain) {
        append(t, s);
        return;
    }
    append(t, "\"");
    for (; *s; s++) {
        char one[8] = {*s, 0};
        if (*s == '"' || *s == '\\') one[0] = '\\', one[1] = *s, one[2] = 0;
        else if (strncmp(s, "${", 2) == 0) strcpy(one, "\\\\$"); /* no interpolation: copy_text() takes it off */
        else if ((unsigned char)*s < 32 || *s == 127) snprintf(one, sizeof one, "\\x%02x", (unsigned)*s);
        append(t, one);
    }
    append(t, "\"");
}

static void append_list(config_text *t, const char *s)
{
    /* "[a,b]" or "a,b" -> [a, b] */
    char word[TOOL_PATH];
    append(t, "[");
    for (int first = 1; *s;) {
        size_t n = strcspn(s, "[], ");
        if (n) {
            memcpy(word, s, n);
            word[n] = 0;
            if (!first) append(t, ", ");
            append_text(t, word);
            first = 0;
        }
        s += n;
        if (*s) s++;
    }
    append(t, "]");
}

static void append_data(config_text *t, const char *path)
{
    append(t, "[");
    if (*path) append_text(t, path);
    append(t, "]");
}

static void append_value(config_text *t, const config *c, int i)
{
    const config_key *k = &keys[i];
    const char *field = (const char *)c + k->offset;
    char text[64];
    if (k->kind == CONFIG_KIND_TEXT) {
        if (i == CONFIG_eval_save_outputs) append_list(t, field);
        else if (i == CONFIG_data_paths_test) append_data(t, field);
        else if (*field) append_text(t, field);
        else append(t, "null");
        return;
    }
    int unset = !*k->def && is_null(c->raw[i].text);
    if (unset) snprintf(text, sizeof text, "null");
    else if (k->kind == CONFIG_KIND_INT) snprintf(text, sizeof text, "%lld", (long long)*(const int64_t *)(const void *)field);
    else if (k->kind == CONFIG_KIND_REAL) tool_number(text, *(const double *)(const void *)field);
    else if (k->kind == CONFIG_KIND_FLAG)
        snprintf(text, sizeof text, "%s", *(const int *)(const void *)field ? "true" : "false");
    else {
        const char *word = k->words;
        for (int n = *(const int *)(const void *)field; n > 0; n--) word = strchr(word, '|') + 1;
        snprintf(text, sizeof text, "%.*s", (int)strcspn(word, "|"), word);
    }
    append(t, text);
}

static double value_of(const config *c, int index)
{
    const config_key *k = &keys[index];
    const char *field = (const char *)c + k->offset;
    return k->kind == CONFIG_KIND_INT    ? (double)*(const int64_t *)(const void *)field
           : k->kind == CONFIG_KIND_REAL ? (double)(float)*(const double *)(const void *)field
                                         : (double)*(const int *)(const void *)field;
}

static int is_standard(int index, double value)
{
    const config_key *k = &keys[index];
    double x = 0; /* of words the first, of flags no */
    if (k->kind == CONFIG_KIND_INT || k->kind == CONFIG_KIND_REAL) parse_number(k->def, &x);
    return (float)value == (float)x;
}

static int stands(const config *c, int index)
{
    /* whether all_config.yaml names the key: of the family's only what is not HRM's, and of a model with the public TRM code's
     * class all, whose defaults differ; its losses take what they know alone */
    if (!is_family(index) || !is_standard(index, value_of(c, index))) return 1;
    return c->H_layers == 0 && strncmp(keys[index].name, "arch.loss.", 10) != 0;
}

char *config_yaml(const config *c, const hrm_model_desc *desc, size_t *length)
{
    config_text t;
    char line[96];
    memset(&t, 0, sizeof t);
    append(&t, "arch:\n");
    for (int pass = 0; pass < 3; pass++) { /* arch.KEY, arch.loss.KEY, the others: one block each, as YAML nests them */
        if (pass == 1) append(&t, "  loss:\n");
        for (int i = 0; i < CONFIG_COUNT; i++) {
            const char *name = keys[i].name;
            int arch = strncmp(name, "arch.", 5) == 0, loss = strncmp(name, "arch.loss.", 10) == 0;
            if ((pass == 0 && (!arch || loss)) || (pass == 1 && !loss) || (pass == 2 && arch)) continue;
            if (!(keys[i].commands & CONFIG_TRAIN) || (keys[i].flags & CONFIG_LOCAL)) continue;
            if (pass < 2 && !*keys[i].def && is_null(c->raw[i].text)) continue; /* the public model takes no null */
            if (!stands(c, i)) continue;
            append(&t, pass == 0 ? "  " : pass == 1 ? "    " : "");
            append(&t, pass == 0 ? name + 5 : pass == 1 ? name + 10 : name);
            append(&t, ": ");
            append_value(&t, c, i);
            append(&t, "\n");
        }
    }
    if (desc) { /* what the public code reads from the data set: not among arch's keys, or it would be given twice */
        snprintf(line, sizeof line, "seq_len: %d\nvocab_size: %d\nnum_puzzle_identifiers: %d\n", desc->seq_len,
                 desc->vocab_size, desc->num_puzzle_identifiers);
        append(&t, line);
    }
    if (c->H_layers == 0) { /* what the public TRM code calls it */
        append(&t, "data_paths: ");
        append_data(&t, c->data_path);
        append(&t, "\n");
    }
    if (!t.data) tool_say("no memory for all_config.yaml");
    *length = t.length;
    return t.data;
}

int config_write(const config *c, const hrm_model_desc *desc, const char *path)
{
    size_t length;
    char *text = config_yaml(c, desc, &length);
    if (!text) return TOOL_ERROR;
    int status = tool_write_text(path, text, length) == 0 ? TOOL_OK : TOOL_ERROR;
    free(text);
    return status;
}

/* ---- to and from the library's description ---------------------------------------------------------------------------- */
#define FROM_INT(field, standard, low, high, none, help)   d->none = c->field == 0, d->field = (int)c->field;
#define FROM_FLOAT(field, standard, low, high, none, help) d->none = (float)c->field == 0, d->field = (float)c->field;
#define FROM_FLAG(field, help)                             d->field = c->field;
#define FROM_WORD(field, words, help)                      memcpy(&d->field, &c->field, sizeof(int)); /* the library's enum */
#define FROM(a, kind, key, ...)                            FROM_##kind(__VA_ARGS__)
void config_model_desc(const config *c, hrm_model_desc *d)
{
    HRM_ARCH_KEYS(FROM, 0)
    d->seed = (uint64_t)c->seed;
}

void config_train_desc(const config *c, hrm_train_desc *d)
{
    memset(d, 0, sizeof *d);
    HRM_RATE_KEYS(FROM, 0)
    HRM_TRAINING_KEYS(FROM, 0)
    d->batch_size = (int)c->global_batch_size;
    d->lr_warmup_steps = c->lr_warmup_steps;
    d->no_warmup = c->lr_warmup_steps == 0;
    d->seed = (uint64_t)c->seed;
}

config_work config_work_of(const hrm_model_desc *m, int activation_checkpointing)
{
    /* products alone: what is between them is a few hundredths */
    config_work w;
    double D = m->hidden_size, V = m->vocab_size, width = ceil(rint((double)m->expansion * D * 2 / 3) / 256) * 256;
    double P = m->puzzle_emb_len ? m->puzzle_emb_len : ceil(m->puzzle_emb_ndim / D),
           S = m->seq_len + (m->no_puzzle_emb ? 0 : P);
    double mixed = ceil(rint((double)m->expansion * S * 2 / 3) / 256) * 256;
    double block = 2 * 3 * S * D * width + (m->mlp_t ? 2 * 3 * D * S * mixed : 2 * 4 * S * D * D + 2 * 2 * S * S * D);
    int slow = m->one_network ? m->L_layers : m->H_layers, H = m->grad_H_cycles ? m->grad_H_cycles : 1;
    int last = H * ((m->grad_H_cycles ? m->L_cycles : 1) * m->L_layers + slow); /* blocks that the way back goes through */
    double heads = 2 * m->seq_len * D * V;
    w.layers = m->H_cycles * (m->L_cycles * m->L_layers + slow);
    w.forward = w.layers * block + heads;
    w.backward = (activation_checkpointing ? 3 : 2) * last * block + 2 * heads;
    w.train = w.forward * (m->halt_max_steps > 1 && !m->no_ACT_continue ? 2 : 1) + w.backward;
    return w;
}

void config_dtypes(const config *c, hrm_model_desc *desc)
{
    /* on the CPU what a file says was meant for a GPU; of float16 and fp8, which are not there, it is told */
    const config_raw *forward = &c->raw[CONFIG_forward_dtype], *cycles = &c->raw[CONFIG_cycles_dtype];
    int cpu = c->device == HRM_CPU, half = c->forward_dtype + 1 == HRM_FORWARD_FLOAT16, fp8 = c->cycles_dtype == HRM_CYCLES_FP8;
    desc->forward_dtype = (hrm_forward_dtype)(c->forward_dtype + 1); /* the words are the enum's, but for its default */
    desc->cycles_dtype = (hrm_cycles_dtype)c->cycles_dtype;
    if (cpu && forward->origin != CONFIG_COMMAND) {
        if (half) tool_note("%s: arch.forward_dtype float16 is for CUDA: on this CPU it runs in float32", forward->where);
        desc->forward_dtype = HRM_FORWARD_DEFAULT;
    }
    if (cpu && cycles->origin != CONFIG_COMMAND) {
        if (fp8) tool_note("%s: arch.cycles_dtype fp8 is for CUDA: on this CPU it does nothing", cycles->where);
        desc->cycles_dtype = HRM_CYCLES_AS_FORWARD;
    }
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------------ */
typedef struct config_stated {
    int index;
    double value;
    int said;
} config_stated;
#define ONE(a, kind, key, field, ...) +1
enum { STATED = 0 HRM_ARCH_KEYS(ONE, 0) };
#undef ONE

static void stated_values(config_stated s[STATED], const hrm_model_desc *d)
{
    /* the keys of a model with their values; a 0 mostly means that nobody said it */
    int n = 0;
#define STATED_INT(field, standard, low, high, none, help) \
    (d->field != 0 || (offsetof(hrm_model_desc, field) != offsetof(hrm_model_desc, none) && d->none != 0))
#define STATED_FLOAT       STATED_INT
#define STATED_FLAG(...)   1
#define STATED_WORD(...)   1
#define STATED_VALUE(a, kind, key, field, ...) \
    s[n].index = CONFIG_##field, s[n].said = STATED_##kind(field, __VA_ARGS__), s[n].value = (double)d->field, n++;
    HRM_ARCH_KEYS(STATED_VALUE, 0)
#undef STATED_VALUE
#undef STATED_WORD
#undef STATED_FLAG
#undef STATED_FLOAT
#undef STATED_INT
}

static const char *value_text(char text[40], const config_stated *s)
{
    const config_key *k = &keys[s->index];
    if (k->kind == CONFIG_KIND_FLAG) return strcpy(text, s->value > 0 ? "true" : "false");
    if (k->kind != CONFIG_KIND_WORD) return tool_number_float(text, (float)s->value);
    const char *word = k->words;
    for (int n = (int)s->value; n > 0; n--) word = strchr(word, '|') + 1;
    snprintf(text, 40, "%.*s", (int)strcspn(word, "|"), word);
    return text;
}

void config_metadata(char *text, size_t size, const hrm_model_desc *d)
{
    char number[40];
    config_stated all[STATED];
    size_t n = (size_t)snprintf(text, size, "{");
    stated_values(all, d);
#define PUT_SHAPE(a, kind, key, field, ...) \
    if (d->field > 0) n += (size_t)snprintf(text + n, size - n, "\"%s\":%d,", key, d->field);
    HRM_DATA_KEYS(PUT_SHAPE, 0)
#undef PUT_SHAPE
    for (int loss = 0; loss < 2; loss++) {
        if (loss) n += (size_t)snprintf(text + n, size - n, "\"loss\":{");
        for (int i = 0; i < STATED; i++) {
            const config_key *k = &keys[all[i].index];
            int trm = d->one_network && (all[i].index == CONFIG_puzzle_emb_len || all[i].index == CONFIG_no_ACT_continue);
            int wanted = all[i].said && !(is_family(all[i].index) && is_standard(all[i].index, all[i].value));
            const char *quote = k->kind == CONFIG_KIND_WORD ? "\"" : "";
            if (loss == !strncmp(k->name, "arch.loss.", 10) && (wanted || trm))
                n += (size_t)snprintf(text + n, size - n, "\"%s\":%s%s%s,", own_name(all[i].index), quote,
                                      value_text(number, &all[i]), quote);
        }
    }
    snprintf(text + n - 1, size - n + 1, "}}"); /* for the last comma */
}

static int is_rule(int index)
{
    /* no weight depends on it */
    return index == CONFIG_halt_max_steps || index == CONFIG_halt_exploration_prob ||
           (is_family(index) && index != CONFIG_mlp_t && index != CONFIG_mlp_norm && index != CONFIG_puzzle_emb_len &&
            index != CONFIG_no_ACT_continue);
}

static int is_own(const config *c, int index)
{
    /* what a new training may have otherwise than that of the weights it starts from, if it says so */
    return c->command == CONFIG_TRAIN && (index == CONFIG_loss_type || index == CONFIG_no_ACT_continue) &&
           c->raw[index].origin == CONFIG_COMMAND;
}

static void said_desc(const config *c, const unsigned char gives_way[CONFIG_COUNT], hrm_model_desc *d)
{
    /* what the command line, --config and arch=NAME say, and nothing else */
    hrm_model_desc all;
    memset(&all, 0, sizeof all);
    memset(d, 0, sizeof *d);
    config_model_desc(c, &all);
#define SAID_INT(field, standard, low, high, none, help) d->none = all.none, d->field = all.field;
#define SAID_FLOAT                                       SAID_INT
#define SAID_FLAG(field, help)                           d->field = all.field ? 1 : -1;
#define SAID_WORD(field, words, help)                    d->field = all.field;
#define SAID(a, kind, key, field, ...) \
    if (config_is_set(c, CONFIG_##field) && !gives_way[CONFIG_##field] && !is_own(c, CONFIG_##field)) { \
        SAID_##kind(field, __VA_ARGS__) \
    }
    HRM_ARCH_KEYS(SAID, 0)
#undef SAID
#undef SAID_WORD
#undef SAID_FLAG
#undef SAID_FLOAT
#undef SAID_INT
}

int config_merge(const config *c, const char *path, hrm_model_desc *merged, hrm_sources *sources)
{
    hrm_model_desc said, stated;
    config_stated all[STATED];
    unsigned char gives_way[CONFIG_COUNT];
    char text[40], list[512] = "";
    size_t n = 0;
    memset(gives_way, 0, sizeof gives_way);
    if (hrm_checkpoint_merge(&stated, sources, path, NULL) != HRM_OK) return tool_failed();
    stated_values(all, &stated);
    for (int i = 0; i < STATED; i++) { /* of the expansion only the width is known, which the library compares */
        int index = all[i].index;
        const char *from = hrm_sources_of(sources, own_name(index)), *where = c->raw[index].where;
        int known =
            from && strcmp(from, "the default") != 0 && !(index == CONFIG_expansion && strcmp(from, "its tensors") == 0);
        if (!known || !config_is_set(c, index) || value_of(c, index) == all[i].value) continue;
        gives_way[index] = c->raw[index].origin == CONFIG_FILE;
        if (gives_way[index] && n < sizeof list - 160)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s %.40s (%s) to %s", n ? ", " : "", keys[index].name,
                                  c->raw[index].text, where, value_text(text, &all[i]));
        if (gives_way[index] || (c->raw[index].origin == CONFIG_COMMAND && (is_rule(index) || is_own(c, index)))) continue;
        return tool_error("%s is %.60s (%s), but %s in %s (%s)", keys[index].name, c->raw[index].text,
                          *where ? where : "command line", value_text(text, &all[i]), path, from);
    }
    if (n) tool_note("%s is as it says itself; what gives way: %s", path, list);
    said_desc(c, gives_way, &said);
    if (hrm_checkpoint_merge(merged, sources, path, &said) != HRM_OK) return tool_failed();
    if (!merged->halt_max_steps) merged->halt_max_steps = (int)c->max_steps; /* in eval and solve it says the same */
    return TOOL_OK;
}

int config_checkpoint(config *c, const char *path, hrm_model_desc *merged, hrm_sources *sources)
{
    config_stated all[STATED];
    char text[40];
    int status = config_merge(c, path, merged, sources);
    if (status != TOOL_OK) return status;
    hrm_model_desc whole = *merged;
    if (!whole.seq_len) whole.seq_len = 1; /* data and puzzles tell it */
    if (c->command == CONFIG_TRAIN) whole.halt_max_steps = 1;
    if (hrm_checkpoint_complete(&whole, path) != HRM_OK) return tool_failed();
    stated_values(all, merged);
    for (int i = 0; i < STATED && status == TOOL_OK; i++)
        if (all[i].said && !is_own(c, all[i].index))
            status = take(c, all[i].index, value_text(text, &all[i]), tool_basename(path));
    return status == TOOL_OK ? settle_class(c) : status;
}

int config_load_model(const config *c, hrm_model **model, const char *path, const hrm_model_desc *merged,
                      const hrm_sources *sources, int seq_len)
{
    hrm_model_desc desc = *merged;
    char said[512] = "", data[TOOL_PATH + 64] = "";
    size_t n = 0;
    desc.seq_len = seq_len; /* rotary positions do not tell it */
    desc.device = (hrm_device_kind)c->device;
    desc.num_threads = (int)c->threads;
    config_dtypes(c, &desc);
    if (hrm_model_load(model, path, &desc) != HRM_OK) return tool_failed();
    for (int i = 0; i < CONFIG_COUNT; i++) {
        if (!(keys[i].flags & CONFIG_ARCH) || !config_is_set(c, i)) continue;
        const char *from = hrm_sources_of(sources, own_name(i));
        if (from && strcmp(from, "the description") == 0 && n < sizeof said - 64)
            n += (size_t)snprintf(said + n, sizeof said - n, "%s%s", n ? ", " : "; said here: ", keys[i].name);
    }
    if (c->raw[CONFIG_data_path].origin == CONFIG_BASE)
        snprintf(data, sizeof data, "; data_path from %s", c->raw[CONFIG_data_path].where);
    const char *from = hrm_sources_of(sources, NULL);
    if (c->command == CONFIG_SOLVE && !config_is_set(c, CONFIG_checkpoint)) tool_note("solving with %s", path);
    else tool_note("%s: its configuration is from %s%s%s", path, from ? from : "its tensors alone", said, data);
    return TOOL_OK;
}

int config_from_desc(config *c, const hrm_model_desc *d)
{
    char text[40];
    config_stated all[STATED];
    int status = TOOL_OK;
    stated_values(all, d);
    for (int i = 0; i < STATED && status == TOOL_OK; i++)
        if (all[i].said) status = take(c, all[i].index, value_text(text, &all[i]), "");
    return status == TOOL_OK ? settle_class(c) : status;
}
