/* Every reachable state, breadth first: so the trace to a violation is a shortest one. */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    size_t wide;       /* bytes of a record */
    uint8_t *records;  /* of all states that were reached, in the order of reaching them */
    uint32_t *parents;
    uint32_t count, room;
    uint32_t *slots;   /* hash table: 1 + index */
    uint32_t slot_count;
    uint32_t current;
    bool keeps_edges;
    struct edges edges;
    void (*observer)(const struct state *, enum action, int, int);
} all;

static void *grown(void *old, size_t bytes)
{
    void *grown = realloc(old, bytes);
    if (grown == NULL) {
        fputs("no memory\n", stderr);
        exit(2);
    }
    return grown;
}

const uint8_t *record_of(uint32_t id)
{
    return all.records + id * all.wide;
}

static uint64_t hash(const uint8_t *record)
{
    uint64_t h = 0x9E3779B97F4A7C15u;
    for (size_t at = 0; at < all.wide; at += 8) {
        uint64_t word = 0;
        memcpy(&word, record + at, all.wide - at < 8 ? all.wide - at : 8);
        h = (h ^ word) * 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
    }
    return h;
}

static uint32_t *slot_of(const uint8_t *record)
{
    uint32_t at = (uint32_t)hash(record) & (all.slot_count - 1);
    while (all.slots[at] && memcmp(record_of(all.slots[at] - 1), record, all.wide) != 0)
        at = (at + 1) & (all.slot_count - 1);
    return &all.slots[at];
}

static void make_room(void)
{
    if (all.count == all.room) {
        all.room = all.room ? all.room + all.room / 2 : 1u << 16;
        all.records = grown(all.records, all.room * all.wide);
        all.parents = grown(all.parents, all.room * sizeof *all.parents);
    }
    if (all.count >= all.slot_count / 4 * 3) {
        all.slot_count = all.slot_count ? all.slot_count * 2 : 1u << 17;
        free(all.slots);
        all.slots = calloc(all.slot_count, sizeof *all.slots);
        if (all.slots == NULL) {
            fputs("no memory\n", stderr);
            exit(2);
        }
        for (uint32_t id = 0; id < all.count; id++)
            *slot_of(record_of(id)) = id + 1;
    }
}

static void keep_edge(uint32_t to)
{
    if (all.edges.count == all.edges.room) {
        all.edges.room = all.edges.room ? all.edges.room + all.edges.room / 2 : 1u << 16;
        all.edges.to = grown(all.edges.to, all.edges.room * sizeof *all.edges.to);
    }
    all.edges.to[all.edges.count++] = to;
}

static uint32_t add(const struct state *s)
{
    uint8_t record[MAX_RECORD];
    uint32_t *slot;
    make_room();
    pack(s, record);
    slot = slot_of(record);
    if (*slot == 0) {
        memcpy(all.records + all.count * all.wide, record, all.wide);
        all.parents[all.count] = all.current;
        *slot = ++all.count;
    }
    return *slot - 1;
}

void reach(const struct state *next, enum action action, int who, int what)
{
    if (all.observer) {
        all.observer(next, action, who, what);
        return;
    }
    uint32_t id = add(next);
    if (all.keeps_edges)
        keep_edge(id);
}

/* Every step that may follow. Of two holders that are alike, one is enough. */
static void successors(const struct state *s)
{
    for (int i = 0; i < honest(); i++) {
        const struct holder *h = &s->holder[i];
        if (!all.observer && i > 0 && memcmp(h, h - 1, sizeof *h) == 0)
            continue;
        if (!h->lost) {
            if (writes_register(h)) {
                register_steps(s, i);
            } else {
                if (is_old(h)) {
                    voting_steps(s, i);
                    retiring_steps(s, i);
                }
                if (h->place & NEW)
                    arrival_steps(s, i);
                if (model.fine)
                    repeat_steps(s, i);
            }
            fault_steps(s, i);
        }
        repair_steps(s, i);
    }
    coordinator_steps(s);
}

void watch_successors(const struct state *s,
                      void (*observer)(const struct state *, enum action, int, int))
{
    all.observer = observer;
    successors(s);
    all.observer = NULL;
}

static struct state start(void)
{
    struct state s;
    memset(&s, 0, sizeof s);
    for (int i = 0; i < honest(); i++) {
        struct holder *h = &s.holder[i];
        if (i < model.holders - model.traitors)
            h->keys = h->blobs = only(0);
        if (model.new_holders && h->keys)
            h->place = OLD;
        if (i >= model.holders - model.traitors - model.staying)
            h->place |= model.new_holders ? NEW : 0;
    }
    return s;
}

struct outcome explore(uint32_t most, bool progress)
{
    struct outcome outcome = {0};
    struct state s = start();
    all.wide = prepare_packing();
    all.keeps_edges = progress;
    add(&s);
    for (uint32_t id = 0; id < all.count; id++) {
        if (all.count > most) {
            outcome.capped = true;
            break;
        }
        all.current = id;
        unpack(record_of(id), &s);
        outcome.broken = broken_invariant(&s, &outcome.tally);
        if (outcome.broken) {
            outcome.where = id;
            break;
        }
        if (progress)
            all.edges.begin = grown(all.edges.begin, (id + 2) * sizeof *all.edges.begin),
            all.edges.begin[id] = all.edges.count;
        successors(&s);
    }
    outcome.states = all.count;
    if (progress && !outcome.broken && !outcome.capped) {
        all.edges.begin[all.count] = all.edges.count;
        check_progress(&outcome, &all.edges);
    }
    return outcome;
}

uint32_t parent_of(uint32_t id)
{
    return all.parents[id];
}
