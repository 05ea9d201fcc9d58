/* Resharing (6.8): a succession that is voted for by those who have e, and gives h' to others.
 *
 * Who is old and new acts in both parts. HELLO' of every new holder belongs to PROPOSE here: v' of an
 * attempt is in memory, so it is there until the next PROPOSE that deals to the same, and whoever
 * restarts goes on no more.
 */
#include "state.h"

bool is_old(const struct holder *h)
{
    return model.new_holders == 0 || h->place & OLD;
}

/* Which kind an epoch is of, says the attempt that made it. */
bool is_reshared(int epoch)
{
    return model.new_holders > 0 && epoch > 0 && !model.refresh[epoch - 1];
}

/* Its HSM has a key in the roster of that epoch. */
bool has_seat(const struct holder *h, int epoch)
{
    return is_reshared(epoch) ? h->place & NEW && !in(h->outdated, epoch - 1) : is_old(h);
}

int threshold_of(int epoch)
{
    return is_reshared(epoch) ? model.new_threshold : model.threshold;
}

/* ACK' of all n'. A traitor has sent it. */
bool all_received(const struct state *s, int epoch)
{
    for (int i = 0; i < honest() && is_reshared(epoch); i++)
        if (s->holder[i].place & NEW && !in(s->holder[i].received, epoch - 1))
            return false;
    return true;
}

/* DONE's of an epoch, whichever attempt each is of. */
int arrivals(const struct state *s, int epoch)
{
    int count = model.silent ? 0 : model.new_traitors;
    for (int i = 0; i < honest(); i++)
        count += in(s->holder[i].arrived, epoch - 1);
    return is_reshared(epoch) ? count : 0;
}

bool all_arrived(const struct state *s, int epoch)
{
    return !is_reshared(epoch) || arrivals(s, epoch) == model.new_holders;
}

/* What a vote is shown. Where coordinators keep no DONE', who is lost shows none; a voter has kept all. */
bool arrivals_shown(const struct state *s, int epoch)
{
    bool all_there = true, kept = false;
    for (int i = 0; i < honest(); i++) {
        const struct holder *h = &s->holder[i];
        all_there = all_there && !(h->place & NEW && h->lost);
        kept = kept || (is_old(h) && !h->lost && h->votes.adopted &&
                        epoch_of(s, h->votes.adopted - 1) == epoch);
    }
    return all_arrived(s, epoch) &&
           (!model.forgetful || all_there || (kept && !model.weak.unkept_arrivals));
}

static bool ends(const struct state *s, int attempt)
{
    return in(s->opened, attempt) && retirement_proven(s, attempt);
}

bool is_ended_for(const struct state *s, int epoch)
{
    for (int p = 0; p < model.attempts; p++)
        if (ends(s, p) && epoch_of(s, p) == epoch)
            return true;
    return false;
}

/* That others do not count on this share, or not any more: e has ended for another successor. */
bool may_go(const struct state *s, const struct holder *h, int epoch)
{
    if (!is_reshared(epoch) || !in(h->arrived, epoch - 1) || model.weak.confirmed_goes)
        return true;
    for (int p = 0; p < model.attempts; p++)
        if (ends(s, p) && epoch_of(s, p) != epoch)
            return true;
    return false;
}

/* Of those that come; who is old destroys with e whatever never came to be. */
bool signs(const struct holder *h, int epoch)
{
    return !is_old(h) && opens(h, epoch) &&
           (h->retiring == epoch || (model.weak.arrived_signs && in(h->arrived, epoch - 1)));
}

/* HELLO' of a later attempt has taken the place of the one that these dealings are for. */
static bool has_delivery_key(const struct state *s, const struct holder *h, int attempt)
{
    for (int p = 0; p < model.attempts; p++)
        if (in(s->opened, p) && !s->redrive[p] && is_reshared(p + 1) &&
            (model.number[p] > model.number[attempt] ||
             (p != attempt && same_number(p) == same_number(attempt) && in(h->received, p))))
            return false;
    return !in(h->outdated, attempt);
}

/* 6.8.3 ACK': what was dealt is checked, sealed, opened again. */
static void receive(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    struct holder *me = &next.holder[who];
    if (s->redrive[attempt] || in(h->received, attempt) || !has_delivery_key(s, h, attempt))
        return;
    me->keys = with(h->keys, attempt + 1);
    me->blobs = with(h->blobs, attempt + 1);
    me->received = with(h->received, attempt);
    reach(&next, RECEIVE, who, attempt);
}

/* DONE', once CERT is there. Who had no share names e in its register, and votes in it; not if it has
 * gone into a higher attempt. It is no vote of e. */
static void confirm(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    struct holder *me = &next.holder[who];
    if (in(h->arrived, attempt) || !opens(h, attempt + 1) || !certified(s, attempt + 1))
        return;
    me->arrived = with(h->arrived, attempt);
    if (!is_old(h) && h->votes.promised <= model.number[attempt]) {
        me->votes.promised = (uint8_t)model.number[attempt];
        me->votes.adopted = (uint8_t)(attempt + 1);
    }
    reach(&next, CONFIRM, who, attempt);
}

/* A RETIRE is shown to who had no share before: its register names h', and it signs. */
static void arrive(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    struct holder *me = &next.holder[who];
    int epoch = epoch_of(s, attempt);
    if (is_old(h) || !is_reshared(epoch) || !opens(h, epoch) || !ends(s, attempt))
        return;
    me->retiring = (uint8_t)epoch;
    me->votes.adopted = (uint8_t)(attempt + 1);
    me->keys = me->blobs = only(epoch);
    reach(&next, ARRIVE, who, attempt);
}

/* `share discard` (N2), or consent to another resharing once e has ended for another successor (N3):
 * nothing is left, the register included. */
static void discard(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    struct holder *me = &next.holder[who];
    if (is_old(h) || !h->keys)
        return;
    for (int epoch = 1; epoch <= model.attempts; epoch++)
        if (in(h->keys, epoch) && !may_go(s, h, epoch))
            return;
    me->keys = me->blobs = 0;
    me->votes = (struct votes){0};
    reach(&next, DISCARD, who, NONE);
}

void arrival_steps(const struct state *s, int who)
{
    if (s->holder[who].retiring)
        return;
    for (int p = 0; p < model.attempts; p++) {
        if (!in(s->opened, p))
            continue;
        if (is_reshared(p + 1)) {
            receive(s, who, p);
            confirm(s, who, p);
        }
        arrive(s, who, p);
    }
    if (model.discards)
        discard(s, who);
}
