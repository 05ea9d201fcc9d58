/* What befalls a holder (6.6): its HSM is lost, its disk restored, it starts anew; and repair (6.7). */
#include "state.h"

#include <string.h>

/* 6.1.3: of k holders counted for an ORDER at most k − t are lost, before or after. */
static bool within_bound(const struct state *s, const struct holder *h)
{
    if (!model.bounded)
        return true;
    for (int r = 0; r < model.successions; r++) {
        int counted = 0, lost = 0;
        for (int i = 0; i < honest(); i++) {
            counted += in(s->holder[i].counted, r);
            lost += in(s->holder[i].counted, r) &&
                    (s->holder[i].lost || in(s->holder[i].replaced, r));
        }
        if (in(h->counted, r) && lost >= counted - model.threshold)
            return false;
    }
    return true;
}

static void lose(const struct state *s, int who)
{
    struct state next = *s;
    struct holder *me = &next.holder[who];
    if (s->losses >= model.losses || !within_bound(s, me))
        return;
    settle_register(me, true);
    me->lost = true;
    me->keys = me->blobs = 0;
    if (model.fine)
        me->retiring = 0;
    next.losses++;
    reach(&next, LOSS, who, NONE);
}

/* No v is left that was drawn since the backup, or before it for an epoch that it has no more. */
void lose_deliveries(const struct state *s, struct holder *h, unsigned kept)
{
    if (!model.deliveries)
        return;
    for (int p = 0; p < model.attempts; p++)
        if (in(s->opened, p) && !s->redrive[p] && h->delivery[p] != GONE && !in(kept, h->delivery[p]))
            h->delivery[p] = GONE;
    if (h->published != GONE && !in(kept, h->published))
        h->published = GONE;
}

/* A share by a resharing that others count on: nobody deals it again. */
static bool opens_confirmed(const struct holder *h)
{
    for (int epoch = 1; epoch <= model.attempts; epoch++)
        if (is_reshared(epoch) && in(h->arrived, epoch - 1) && opens(h, epoch))
            return true;
    return false;
}

/* The disk is that of a backup with only the share of `epoch`: register and keys are current. Where
 * that key is destroyed, nothing opens: it counts as a loss. */
static void restore(const struct state *s, int who, int epoch)
{
    struct state next = *s;
    struct holder *me = &next.holder[who];
    bool useless = !in(me->keys, epoch) || opens_confirmed(me);
    if (s->restores >= model.restores || (useless && s->losses >= model.losses))
        return;
    settle_register(me, true);
    next.restores++;
    next.losses = (uint8_t)(s->losses + useless);
    me->blobs = is_old(me) ? only(epoch) : 0;
    me->retiring = 0;
    lose_deliveries(s, me, me->blobs & me->keys);
    if (model.weak.register_on_disk)
        me->votes.promised = me->votes.acked = me->votes.adopted = 0;
    reach(&next, RESTORE, who, epoch);
}

/* 6.6.1: at a start, a KEK without blob is destroyed, unless the register's ACK names its epoch. */
static void destroy_key_without_blob(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    for (int epoch = 1; epoch <= model.attempts; epoch++) {
        struct state next = *s;
        if (!in(h->keys, epoch) || in(h->blobs, epoch) || h->votes.acked == epoch ||
            epoch == base_of(s, h->votes.succession))
            continue;
        next.holder[who].keys = without(h->keys, epoch);
        reach(&next, RESTART, who, epoch);
    }
}

void fault_steps(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    int base = base_of(s, h->votes.succession);
    lose(s, who);
    restore(s, who, base);
    if (base != 0)
        restore(s, who, 0);
    if (model.fine && !h->retiring && !writes_register(h))
        destroy_key_without_blob(s, who);
}

/* 6.7.1: a helper opens h; at e itself it has adopted nothing, at h' it has adopted that. */
static bool helps(const struct state *s, const struct holder *h, int epoch)
{
    int adopted = h->votes.adopted - 1;
    if (!opens(h, epoch))
        return false;
    if (epoch == base_of(s, h->votes.succession))
        return (adopted == NONE && !h->retiring) || model.weak.adopter_helps;
    return adopted != NONE && epoch_of(s, adopted) == epoch;
}

/* 6.6.5: the highest in the registers of those that are not lost, at the newest epoch among them. */
static struct votes taken_over(const struct state *s, int who)
{
    struct votes votes = {0};
    for (int i = 0; i < honest(); i++) {
        const struct votes *theirs = &s->holder[i].votes;
        if (i == who || s->holder[i].lost || !is_old(&s->holder[i]) ||
            theirs->succession < votes.succession)
            continue;
        if (theirs->succession > votes.succession) {
            votes = (struct votes){theirs->succession, 0, 0, 0};
        }
        if (theirs->promised > votes.promised)
            votes.promised = theirs->promised;
        if (theirs->adopted && (!votes.adopted || model.number[theirs->adopted - 1] >
                                                      model.number[votes.adopted - 1]))
            votes.adopted = theirs->adopted;
    }
    return votes;
}

/* 6.7.1: r opens no share of h, and cannot catch up to it. Of a resharing once e has ended for it: until
 * then the roster in force is that of e. */
static bool needs_repair(const struct state *s, const struct holder *h, int epoch)
{
    if (!has_seat(h, epoch))
        return false;
    if (is_reshared(epoch))
        return !h->lost && !opens(h, epoch) && is_ended_for(s, epoch);
    if (!opens_anything(h))
        return true;
    return model.deliveries && epoch > 0 && !opens(h, epoch) && certified(s, epoch) &&
           !recoverable(s, h, epoch);
}

static void repair(const struct state *s, int who, int epoch)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    struct holder *me = &next.holder[who];
    struct votes votes = taken_over(s, who);
    int helpers = is_reshared(epoch) ? model.new_traitors : model.traitors;
    int others = model.traitors, base;
    bool same = !h->lost && h->votes.succession >= votes.succession;
    if (same)
        votes = h->votes;
    else if (!h->lost || model.weak.forgets)
        votes = (struct votes){votes.succession, 0, 0, 0};
    base = base_of(s, votes.succession);
    for (int i = 0; i < honest(); i++) {
        const struct holder *other = &s->holder[i];
        if (i == who || other->lost)
            continue;
        others += is_old(other);
        helpers += helps(s, other, epoch);
    }
    int asked = model.join_size < model.holders - 1 ? model.join_size : model.holders - 1;
    if (helpers < threshold_of(epoch) || others < asked ||
        (epoch != base && (epoch == 0 || model.succession[epoch - 1] != votes.succession)))
        return;
    if (epoch == base && same && !in(h->keys, base) && !model.weak.repair_reopens)
        return; /* its own register says that e was destroyed */
    if (epoch == base && in(h->destroyed, votes.succession) && !model.fine &&
        !model.weak.repair_reopens)
        return;
    next.repairs++;
    me->votes = votes;
    if (h->lost) {
        me->lost = false;
        me->replaced = with(h->replaced, votes.succession);
        for (int p = 0; p < model.attempts; p++)
            if (in(s->opened, p) && !s->redrive[p] && is_reshared(p + 1) && h->place & NEW)
                me->outdated = with(me->outdated, p);
        lose_deliveries(s, me, 0);
        if (epoch != base || model.fine)
            me->destroyed = without(h->destroyed, votes.succession);
    }
    if (h->votes.succession < votes.succession) {
        me->retiring = 0;
        if (!model.weak.repair_keeps)
            me->keys = me->blobs = 0;
    }
    me->keys = with(me->keys, epoch);
    me->blobs = with(me->blobs, epoch);
    if (model.deliveries) {
        lose_deliveries(s, me, without(me->keys & me->blobs, epoch));
        me->published = (uint8_t)epoch;
    }
    reach(&next, REPAIR, who, epoch);
}

void repair_steps(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    if (s->repairs >= model.repairs || writes_register(h))
        return;
    for (int epoch = 0; epoch <= model.attempts; epoch++)
        if (needs_repair(s, h, epoch))
            repair(s, who, epoch);
}
