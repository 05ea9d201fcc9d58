/* Coordinators, of whom any may be a traitor and all may work at once, and administrators. */
#include "state.h"

/* The adoption that counts in a join set (6.5.2): that of the highest attempt. */
struct best {
    int attempt;
    bool conflict; /* two h' under one α: everybody stops */
};

static void regard(const struct state *s, struct best *best, int adopted)
{
    int before = best->attempt;
    if (adopted == NONE)
        return;
    if (before != NONE && model.number[adopted] == model.number[before] &&
        epoch_of(s, adopted) != epoch_of(s, before))
        best->conflict = true;
    if (before == NONE || model.number[adopted] > model.number[before])
        best->attempt = adopted;
}

/* JOIN of this attempt, as 1 + the adoption that it reports. */
static int joined(const struct holder *h, int attempt)
{
    int own = h->joined[same_number(attempt)];
    for (int p = 0; model.weak.any_epoch && !own && p < attempt; p++)
        if (model.number[p] == model.number[attempt] && h->joined[same_number(p)])
            own = 1;
    return own;
}

static void open_proposal(const struct state *s, int attempt, unsigned members, int traitors, int redrive)
{
    struct state next = *s;
    next.opened = with(s->opened, attempt);
    next.redrive[attempt] = (uint8_t)redrive;
    if (!redrive) {
        if (traitors > 0)
            next.false_deal = with(s->false_deal, attempt);
        for (int i = 0; i < honest(); i++) {
            struct holder *h = &next.holder[i];
            if (in(members, i))
                h->member = with(h->member, attempt);
            h->delivery[attempt] = h->published;
        }
    }
    reach(&next, PROPOSE, NONE, attempt);
}

/* A traitor's JOIN in S may report any certified h' of an attempt above the honest reports. */
static void propose_for(const struct state *s, int attempt, unsigned members, int traitors, int best)
{
    unsigned epochs = only(best == NONE ? 0 : epoch_of(s, best));
    for (int p = 0; traitors > 0 && p < model.attempts; p++)
        if (in(s->opened, p) && model.succession[p] == model.succession[attempt] &&
            model.number[p] < model.number[attempt] &&
            (best == NONE || model.number[p] > model.number[best]) && certified(s, epoch_of(s, p)))
            epochs = with(epochs, epoch_of(s, p));
    for (int epoch = 0; epoch <= model.attempts; epoch++)
        if (in(epochs, epoch))
            open_proposal(s, attempt, members, traitors, epoch);
}

/* 6.5.2 PROPOSE: every join set of J holders or more, with traitors in it or without. */
static void propose(const struct state *s, int attempt)
{
    for (unsigned members = 0; members < 1u << honest(); members++) {
        struct best best = {NONE, false};
        int size = 0;
        bool all = true;
        for (int i = 0; i < honest(); i++) {
            int report;
            if (!in(members, i))
                continue;
            size++;
            report = joined(&s->holder[i], attempt);
            if (report == 0)
                all = false;
            else
                regard(s, &best, model.weak.no_report ? NONE : report - 2);
        }
        if (!all || best.conflict)
            continue;
        for (int traitors = 0; traitors <= model.traitors; traitors++)
            if (size + traitors >= model.join_size)
                propose_for(s, attempt, members, traitors, best.attempt);
    }
}

/* 6.5.9 ORDER: for one attempt of a succession only, with t counted DONEs. */
static void order(const struct state *s, int attempt)
{
    struct state next = *s;
    if (!certified(s, epoch_of(s, attempt)) || order_count(s, attempt) < model.threshold ||
        done_count(s, attempt) >= model.retire_size || in(s->ordered, attempt))
        return;
    for (int p = 0; p < model.attempts; p++)
        if (in(s->ordered, p) && model.succession[p] == model.succession[attempt] &&
            !model.weak.two_orders)
            return;
    next.ordered = with(s->ordered, attempt);
    for (int i = 0; model.bounded && i < honest(); i++)
        if (counts_for_order(&s->holder[i], attempt))
            next.holder[i].counted = with(s->holder[i].counted, model.succession[attempt]);
    reach(&next, ORDER, NONE, attempt);
}

void coordinator_steps(const struct state *s)
{
    for (int p = 0; p < model.attempts; p++) {
        if (in(s->opened, p)) {
            if (model.orders)
                order(s, p);
        } else if (base_of(s, model.succession[p]) != NONE) {
            propose(s, p);
        }
    }
}
