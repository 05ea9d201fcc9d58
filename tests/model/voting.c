/* What a holder of e does until it retires: S0 to S4 of 6.5. */
#include "state.h"

/* 6.2.2: these epochs, and those whose keys have the same names. */
unsigned named_alike(unsigned epochs)
{
    unsigned alike = epochs;
    for (int p = 0; model.weak.keys_by_attempt && p < model.attempts; p++)
        for (int q = 0; q < model.attempts; q++)
            if (in(epochs, p + 1) && same_number(p) == same_number(q))
                alike = with(alike, q + 1);
    return alike;
}

/* What has that name goes first: a try that a crash has ended. */
void make_key(struct holder *h, int epoch)
{
    h->keys = with(h->keys & ~named_alike(only(epoch)), epoch);
}

static struct votes promising(const struct holder *h, int attempt)
{
    struct votes votes = h->votes;
    votes.promised = (uint8_t)model.number[attempt];
    return votes;
}

/* Not for another PROPOSE, or another h', under the same α. */
static bool used_for_another(unsigned set, unsigned registered, int attempt)
{
    for (int p = 0; p < model.attempts; p++)
        if (p != attempt && same_number(p) == same_number(attempt) &&
            (in(set, p) || registered == (unsigned)p + 1))
            return true;
    return false;
}

/* 6.5.1 JOIN: α above the promise, not in S5, and e opens. Being at this e, it has seen its proof. */
static void join(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    if (same_number(attempt) != attempt || h->votes.promised >= model.number[attempt] ||
        !opens(h, base_of(s, h->votes.succession)))
        return;
    write_register(&next, who, promising(h, attempt), JOIN, attempt);
    reach(&next, ASKED, who, attempt);
}

static void acknowledge(const struct state *s, int who, int attempt)
{
    struct state next = *s;
    struct votes votes = s->holder[who].votes;
    votes.acked = (uint8_t)(attempt + 1);
    write_register(&next, who, votes, ACK, attempt);
    reach(&next, ACKNOWLEDGE, who, attempt);
}

/* 6.5.3 and 6.4.6: in S of a NEW proposal of exactly the promise: KEK', blob', ACK. */
static void stage(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct holder *me;
    struct state next = *s;
    int epoch = attempt + 1, number = model.number[attempt];
    bool acked = in(h->acks, attempt) || h->votes.acked == attempt + 1;
    if (!in(h->member, attempt) || !opens(h, base_of(s, h->votes.succession)))
        return;
    if (h->votes.promised != number &&
        !(model.weak.ack_below_promise && h->votes.promised > number))
        return;
    me = &next.holder[who];
    if (is_reshared(epoch)) { /* it sees that the dealings hold: whatever is dealt, others have */
        if (!acked && !used_for_another(h->acks, h->votes.acked, attempt))
            acknowledge(s, who, attempt);
    } else if (!in(h->keys, epoch) && reads_deals(h, attempt)) {
        if (used_for_another(h->keys >> 1 | h->acks, h->votes.acked, attempt))
            return;
        make_key(me, epoch);
        reach(&next, STAGE_KEY, who, attempt);
    } else if (!in(h->blobs, epoch) && !acked && reads_deals(h, attempt)) {
        me->blobs = with(me->blobs, epoch);
        reach(&next, STAGE_BLOB, who, attempt);
    } else if (opens(h, epoch) && !acked) {
        acknowledge(s, who, attempt);
    }
}

/* The two writes of a catch-up (6.5.5), or a share that was acked derived again (6.6.1). */
static void recover(const struct state *s, int who, int epoch)
{
    struct state next = *s;
    struct holder *me = &next.holder[who];
    if (!in(me->keys, epoch)) {
        make_key(me, epoch);
        reach(&next, CATCH_UP_KEY, who, epoch - 1);
    } else {
        me->blobs = with(me->blobs, epoch);
        reach(&next, CATCH_UP_BLOB, who, epoch - 1);
    }
}

static bool wants(const struct state *s, const struct holder *h, int epoch)
{
    if (h->votes.adopted && epoch_of(s, h->votes.adopted - 1) == epoch)
        return true;
    for (int p = 0; p < model.attempts; p++)
        if (in(s->opened, p) && epoch_of(s, p) == epoch &&
            (h->votes.promised <= model.number[p] || retirement_proven(s, p)))
            return true;
    return false;
}

static void catch_up(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    for (int p = 0; p < model.attempts; p++) {
        int epoch = p + 1;
        if (opens(h, epoch) || model.succession[p] != h->votes.succession)
            continue;
        if (h->votes.acked == epoch && in(h->keys, epoch) && opens(h, base_under(s, epoch)) &&
            transcript_serves(s, h, p))
            recover(s, who, epoch);
        else if (wants(s, h, epoch) && recoverable(s, h, epoch))
            recover(s, who, epoch);
    }
}

/* 6.8.4: beside every DONE'. Whose seat has the key of an HSM that it has lost votes where others have. */
static bool votes_for_resharing(const struct state *s, const struct holder *h, int attempt)
{
    return (model.weak.unarrived_votes || arrivals_shown(s, epoch_of(s, attempt))) &&
           !(in(h->outdated, attempt) && !s->redrive[attempt]) &&
           opens(h, base_of(s, h->votes.succession));
}

/* 6.5.5 DONE: promise not above α, certificate, no other value in α, own share sealed and opened. */
static void adopt(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    struct votes votes = h->votes;
    int epoch = epoch_of(s, attempt);
    bool below = h->votes.promised > model.number[attempt];
    bool done = in(h->dones, attempt) || (model.fine && votes.adopted == attempt + 1);
    if (!certified(s, epoch) || done || (below && !model.weak.vote_below_promise) ||
        used_for_another(h->dones, model.fine ? votes.adopted : 0, attempt))
        return;
    if (is_reshared(epoch) && !votes_for_resharing(s, h, attempt))
        return;
    if (!opens(h, epoch) && has_seat(h, epoch)) {
        if (model.fine || !recoverable(s, h, epoch))
            return;
        make_key(&next.holder[who], epoch);
        next.holder[who].blobs = with(h->blobs, epoch);
    }
    votes.adopted = (uint8_t)(attempt + 1);
    if (!below)
        votes.promised = (uint8_t)model.number[attempt];
    write_register(&next, who, votes, DONE, attempt);
    reach(&next, ADOPT, who, attempt);
}

/* 6.6.1 and 6.5.6, where steps are coarse: an adopted share that a restore took is derived again. */
static void recover_adopted(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    if (model.fine || !h->votes.adopted)
        return;
    int epoch = epoch_of(s, h->votes.adopted - 1);
    if (opens(h, epoch) || !recoverable(s, h, epoch))
        return;
    make_key(&next.holder[who], epoch);
    next.holder[who].blobs = with(h->blobs, epoch);
    reach(&next, CATCH_UP, who, epoch - 1);
}

/* 6.5.10: the staged share of an attempt that a valid NEW proposal overtook may be dropped; one by a
 * resharing not after its DONE'. */
static void drop(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    int epoch = attempt + 1;
    bool overtaken = false;
    if (!in(h->keys, epoch) || !may_go(s, h, epoch) || (h->votes.adopted && epoch_of(s, h->votes.adopted - 1) == epoch))
        return;
    for (int p = 0; p < model.attempts; p++)
        if (in(s->opened, p) && !s->redrive[p] && model.succession[p] == model.succession[attempt] &&
            model.number[p] > model.number[attempt])
            overtaken = true;
    if (!overtaken)
        return;
    next.holder[who].keys = without(h->keys, epoch);
    next.holder[who].blobs = without(h->blobs, epoch);
    lose_deliveries(s, &next.holder[who], ~(1u << epoch));
    reach(&next, DROP, who, attempt);
}

void voting_steps(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    for (int p = 0; p < model.attempts && !h->retiring; p++) {
        if (model.succession[p] != h->votes.succession)
            continue;
        join(s, who, p);
        if (!in(s->opened, p))
            continue;
        if (!s->redrive[p])
            stage(s, who, p);
        adopt(s, who, p);
        if (model.drops)
            drop(s, who, p);
    }
    if (model.fine && !h->retiring)
        catch_up(s, who);
    recover_adopted(s, who);
}
