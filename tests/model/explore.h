/* What an exploration found. */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

#include "state.h"

struct edges { /* of state i: to[begin[i]] … to[begin[i + 1] − 1] */
    uint64_t *begin;
    uint32_t *to;
    uint64_t count, room;
};

struct outcome {
    uint32_t states;
    bool capped;        /* more than were asked for: not all are known */
    const char *broken; /* the invariant, or NULL */
    uint32_t where;     /* the state in which it is broken, or the first stuck one */
    uint64_t owed, stuck; /* states from which completion must be reachable, and those where it is not */
    struct tally tally;
};

/* All states, at most `most`, and with `progress` whether completion can be reached (progress.c). */
struct outcome explore(uint32_t most, bool progress);
void check_progress(struct outcome *outcome, const struct edges *edges);

const uint8_t *record_of(uint32_t id);
uint32_t parent_of(uint32_t id);
void watch_successors(const struct state *s,
                      void (*observer)(const struct state *, enum action, int, int));

/* trace.c: a shortest way to a state, holders named throughout. */
void print_trace(uint32_t id);

#endif
