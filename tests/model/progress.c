/* Progress (6.9): from every state that has a further attempt and lost nobody, completion can be
 * reached. Backwards from the complete states, along all steps. */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>

static void *zeros(uint64_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        exit(2);
    }
    return memory;
}

/* The same edges by where they lead: sources[begin[i]] … lead to state i. */
static struct edges reversed(const struct edges *edges, uint32_t states)
{
    struct edges by_target = {zeros(states + 2ull, sizeof(uint64_t)),
                              zeros(edges->count + 1, sizeof(uint32_t)), edges->count, edges->count};
    uint64_t *begin = by_target.begin;
    for (uint64_t at = 0; at < edges->count; at++)
        begin[edges->to[at] + 2]++;
    for (uint32_t id = 0; id < states; id++)
        begin[id + 2] += begin[id + 1];
    for (uint32_t id = 0; id < states; id++)
        for (uint64_t at = edges->begin[id]; at < edges->begin[id + 1]; at++)
            by_target.to[begin[edges->to[at] + 1]++] = id;
    return by_target;
}

void check_progress(struct outcome *outcome, const struct edges *edges)
{
    uint32_t states = outcome->states, waiting = 0;
    struct edges back = reversed(edges, states);
    uint8_t *reaches = zeros(states, 1);
    uint32_t *stack = zeros(states, sizeof *stack);
    struct state s;
    for (uint32_t id = 0; id < states; id++) {
        unpack(record_of(id), &s);
        if (completed(&s)) {
            reaches[id] = true;
            stack[waiting++] = id;
        }
    }
    while (waiting > 0) {
        uint32_t id = stack[--waiting];
        for (uint64_t at = back.begin[id]; at < back.begin[id + 1]; at++) {
            uint32_t before = back.to[at];
            if (!reaches[before]) {
                reaches[before] = true;
                stack[waiting++] = before;
            }
        }
    }
    for (uint32_t id = 0; id < states; id++) {
        unpack(record_of(id), &s);
        if (!further_attempt(&s))
            continue;
        outcome->owed++;
        if (!reaches[id] && outcome->stuck++ == 0) {
            outcome->where = id;
            outcome->broken = "progress";
        }
    }
    free(back.begin);
    free(back.to);
    free(reaches);
    free(stack);
}
