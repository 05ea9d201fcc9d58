/* Explores one model: `model n=3 t=2 j=2 w=3 …`. The last line says what was found; `trace` prints a
 * shortest way to a violation before it. Exit 0 whatever was found, 2 for what cannot be read. */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct model model;

enum { MOST_STATES = 150000000, MAX_BEFALLS = 3 }; /* two bits in a record (pack.c) */

static struct {
    int attempts[MAX_SUCCESSIONS];
    bool equal; /* the first two attempts of a succession have one α */
    bool progress, trace;
    int most;
} asked;

static void refuse(const char *word)
{
    fprintf(stderr, "not understood: %s\n", word);
    exit(2);
}

static bool number(const char *word, const char *name, int *value)
{
    size_t length = strlen(name);
    if (strncmp(word, name, length) != 0 || word[length] != '=')
        return false;
    *value = atoi(word + length + 1);
    return true;
}

static bool numbers(const char *word)
{
    return number(word, "n", &model.holders) || number(word, "t", &model.threshold) ||
           number(word, "j", &model.join_size) || number(word, "w", &model.retire_size) ||
           number(word, "a", &asked.attempts[0]) || number(word, "b", &asked.attempts[1]) ||
           number(word, "c", &asked.attempts[2]) || number(word, "x", &model.traitors) ||
           number(word, "l", &model.losses) || number(word, "d", &model.restores) ||
           number(word, "r", &model.repairs) || number(word, "most", &asked.most) ||
           number(word, "new", &model.new_holders) || number(word, "of-new", &model.new_threshold) ||
           number(word, "stay", &model.staying) || number(word, "y", &model.new_traitors);
}

#define AS_ENTRY(name, text) {#name, &model.weak.name},
static const struct { const char *name; bool *flag; } FLAGS[] = {
    {"order", &model.orders}, {"bounded", &model.bounded}, {"fine", &model.fine},
    {"deliveries", &model.deliveries}, {"announced", &model.announced}, {"waits", &model.waits},
    {"stale", &model.stale}, {"current", &model.current}, {"fair", &model.fair},
    {"drops", &model.drops}, {"equal", &asked.equal}, {"progress", &asked.progress},
    {"trace", &asked.trace}, {"discards", &model.discards}, {"silent", &model.silent},
    {"forgetful", &model.forgetful},
    {"refresh1", &model.refresh[0]}, {"refresh2", &model.refresh[1]},
    {"refresh3", &model.refresh[2]}, WEAKENED_RULES(AS_ENTRY)
};

static bool flag(const char *word)
{
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++)
        if (strcmp(word, FLAGS[i].name) == 0) {
            *FLAGS[i].flag = true;
            return true;
        }
    return false;
}

/* The last attempts of all successions have one number: so messages of one could serve the other, did
 * they not name h_e. */
static void number_attempts(void)
{
    int most = 0;
    for (int r = 0; r < MAX_SUCCESSIONS; r++)
        most = asked.attempts[r] > most ? asked.attempts[r] : most;
    for (int r = 0; r < MAX_SUCCESSIONS && asked.attempts[r] > 0; r++) {
        model.successions = r + 1;
        for (int p = 0; p < asked.attempts[r]; p++) {
            if (model.attempts == MAX_ATTEMPTS)
                refuse("more attempts than there is room for");
            model.succession[model.attempts] = r;
            model.number[model.attempts++] =
                most - asked.attempts[r] + p + (asked.equal && p > 0 ? 0 : 1);
        }
    }
}

static bool within(int value, int least, int most)
{
    return least <= value && value <= most;
}

/* 6.8 within one succession, in the steps of 6.9.1. */
static void require_resharing(void)
{
    int coming = model.new_holders - model.new_traitors - model.staying;
    if (!within(model.new_threshold, 2, model.new_holders) ||
        !within(model.new_traitors, 0, model.new_threshold - 1) ||
        !within(model.staying, 0, model.holders - model.traitors) || coming < 0 ||
        honest() > MAX_HOLDERS || model.successions > 1 || model.fine || model.deliveries)
        refuse("no such resharing");
}

static void require_sizes(void)
{
    int n = model.holders;
    if (!within(n, 2, MAX_HOLDERS) || !within(model.threshold, 2, n) || model.attempts == 0 ||
        !within(model.join_size, 1, n) || !within(model.retire_size, 1, n) ||
        !within(model.traitors, 0, model.threshold - 1) || !within(model.losses, 0, MAX_BEFALLS) ||
        !within(model.restores, 0, MAX_BEFALLS) || !within(model.repairs, 0, MAX_BEFALLS))
        refuse("no such model");
    if (model.new_holders)
        require_resharing();
}

int main(int count, char **words)
{
    asked.most = MOST_STATES;
    for (int i = 1; i < count; i++)
        if (!numbers(words[i]) && !flag(words[i]))
            refuse(words[i]);
    number_attempts();
    require_sizes();
    struct outcome outcome = explore((uint32_t)asked.most, asked.progress);
    if (outcome.broken && asked.trace)
        print_trace(outcome.where);
    printf("{\"states\": %u, \"capped\": %s, \"broken\": \"%s\", \"proven\": %llu, "
           "\"finished\": %llu, \"after_catch_up\": %llu, \"owed\": %llu, \"stuck\": %llu}\n",
           outcome.states, outcome.capped ? "true" : "false", outcome.broken ? outcome.broken : "",
           (unsigned long long)outcome.tally.proven, (unsigned long long)outcome.tally.finished,
           (unsigned long long)outcome.tally.quorum_after_catch_up,
           (unsigned long long)outcome.owed, (unsigned long long)outcome.stuck);
    return 0;
}
