/* States as records of a few bytes. Honest holders are alike, so their parts are sorted. */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 bits;

static struct { int attempts, attempt, joined, epochs, epoch, number, successions, succession; } width;
static int holder_bytes, rest_bytes;

static bits *packed;
static int position;

/* A field of no width is one that this model does not keep. */
static inline void put(uint8_t *value, int wide)
{
    if (wide > 0 && *value >> wide) {
        fputs("a field of this model does not fit\n", stderr);
        exit(2);
    }
    *packed |= (bits)(*value & ((1u << wide) - 1)) << position;
    position += wide;
}

static inline void get(uint8_t *value, int wide)
{
    *value = (uint8_t)(*packed >> position & ((1u << wide) - 1));
    position += wide;
}

typedef void field(uint8_t *value, int wide);

static inline __attribute__((always_inline)) void votes_fields(struct votes *votes, bool kept, field *f)
{
    f(&votes->succession, kept ? width.succession : 0);
    f(&votes->promised, kept ? width.number : 0);
    f(&votes->acked, kept && model.fine ? width.attempt : 0);
    f(&votes->adopted, kept ? width.attempt : 0);
}

static inline __attribute__((always_inline)) void holder_fields(struct holder *h, field *f)
{
    f(&h->place, model.new_holders ? 2 : 0);
    f(&h->keys, width.epochs);
    f(&h->blobs, width.epochs);
    f(&h->retiring, width.epoch);
    votes_fields(&h->votes, true, f);
    votes_fields(&h->older, model.fine && model.weak.either_register, f);
    f(&h->two_objects, model.fine);
    f(&h->unsent, model.fine ? 2 : 0);
    f(&h->unsent_attempt, model.fine ? width.attempt : 0);
    for (int p = 0; p < model.attempts; p++) {
        f(&h->joined[p], same_number(p) == p ? width.joined : 0);
        f(&h->delivery[p], model.deliveries ? 3 : 0);
    }
    f(&h->member, width.attempts);
    f(&h->acks, width.attempts);
    f(&h->dones, width.attempts);
    f(&h->published, model.deliveries ? 3 : 0);
    f(&h->received, model.new_holders ? width.attempts : 0);
    f(&h->arrived, model.new_holders ? width.attempts : 0);
    f(&h->outdated, model.new_holders ? width.attempts : 0);
    f(&h->lost, 1);
    f(&h->replaced, width.successions);
    f(&h->counted, model.bounded ? width.successions : 0);
    f(&h->destroyed, width.successions);
}

static inline __attribute__((always_inline)) void rest_fields(struct state *s, field *f)
{
    f(&s->opened, width.attempts);
    for (int p = 0; p < model.attempts; p++)
        f(&s->redrive[p], width.epoch);
    f(&s->false_deal, model.traitors ? width.attempts : 0);
    f(&s->ordered, width.attempts);
    f(&s->losses, 2);
    f(&s->restores, 2);
    f(&s->repairs, 2);
}

static int bits_for(int largest)
{
    int wide = 0;
    while (largest >> wide)
        wide++;
    return wide;
}

/* For the model as it is set. Returns the bytes of a record. */
size_t prepare_packing(void)
{
    struct state any;
    bits nothing = 0;
    memset(&any, 0, sizeof any);
    width.attempts = model.attempts;
    width.attempt = width.epoch = bits_for(model.attempts);
    width.joined = bits_for(model.attempts + 1);
    width.epochs = model.attempts + 1;
    width.number = bits_for(model.number[model.attempts - 1]);
    for (int p = 0; p < model.attempts; p++)
        if (bits_for(model.number[p]) > width.number)
            width.number = bits_for(model.number[p]);
    width.successions = model.successions;
    width.succession = bits_for(model.successions - 1);
    packed = &nothing;
    position = 0;
    holder_fields(&any.holder[0], put);
    holder_bytes = (position + 7) / 8;
    position = 0;
    rest_fields(&any, put);
    rest_bytes = (position + 7) / 8;
    if (holder_bytes > (int)sizeof(bits) || rest_bytes > (int)sizeof(bits)) {
        fputs("a state of this model does not fit\n", stderr);
        exit(2);
    }
    return (size_t)(holder_bytes * honest() + rest_bytes);
}

void pack(const struct state *s, uint8_t *record)
{
    struct state copy = *s;
    bits part[MAX_HOLDERS + 1] = {0};
    int count = honest();
    for (int i = 0; i < count; i++) {
        packed = &part[i];
        position = 0;
        holder_fields(&copy.holder[i], put);
        for (int j = i; j > 0 && part[j - 1] > part[j]; j--) {
            bits larger = part[j - 1];
            part[j - 1] = part[j];
            part[j] = larger;
        }
    }
    packed = &part[count];
    position = 0;
    rest_fields(&copy, put);
    for (int i = 0; i < count; i++, record += holder_bytes)
        memcpy(record, &part[i], (size_t)holder_bytes);
    memcpy(record, &part[count], (size_t)rest_bytes);
}

void unpack(const uint8_t *record, struct state *s)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i <= honest(); i++) {
        bits part = 0;
        memcpy(&part, record, (size_t)(i < honest() ? holder_bytes : rest_bytes));
        record += holder_bytes;
        packed = &part;
        position = 0;
        if (i < honest())
            holder_fields(&s->holder[i], get);
        else
            rest_fields(s, get);
    }
}
