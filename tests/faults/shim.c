/* A PKCS#11 module that stands before a real one, and does to each call what a test has ordered.
 *
 * $SHIM_MODULE is the real module; $SHIM_CONTROL a file of struct control, which both sides map: the
 * test writes orders and reads counts while calls go on (tests/faults/shim.py has the same layout).
 *
 * Build: cc -shared -fPIC -o shim.so shim.c -ldl
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long word; /* CK_ULONG, CK_RV, a handle or a pointer: all of one width */

enum { FUNCTIONS = 68 };
enum {
    OK = 0,
    GENERAL_ERROR = 5,
    ATTRIBUTE_VALUE_INVALID = 0x13,
    MECHANISM_PARAM_INVALID = 0x71,
    SESSION_CLOSED = 0xB0,
    SESSION_HANDLE_INVALID = 0xB3,
    BUFFER_TOO_SMALL = 0x150
};
enum { AES_GCM = 0x1087, IV_BYTES = 12, LONG_IV_BYTES = 16 };

/* The module encrypts by AES-GCM under the caller's IV; under its own, which it writes over the
 * caller's; the same, if the caller gave zeros; under its own, which it puts behind the output. */
enum { CALLERS_IV, OVER_CALLERS, OVER_ZEROS, BEHIND_OUTPUT };
enum { INSTEAD = 0, AFTERWARDS = 1 };

/* What `times` may be, besides a number. */
#define UNTIL_INITIALISED (UINT64_MAX - 1)

struct order {
    uint64_t calls;  /* that came since the test set this to 0 */
    uint64_t struck; /* how many of them got `code` */
    uint64_t first;  /* the number, from 0, of the first call that gets it */
    uint64_t times;  /* how many calls get it, from the first on */
    uint64_t code;
    uint64_t moment; /* the real module is not asked, or its answer is lost */
    uint64_t delay;  /* microseconds before every call */
    uint64_t cut;    /* bytes by which the output of every call is cut short */
};

struct control {
    uint64_t sessions; /* open at the real module, and not said to be gone */
    uint64_t own_iv;   /* what an own IV of AES-GCM is, below */
    uint64_t untaken;  /* other than 0: the type of an attribute, +1, that no template may hold */
    uint64_t unnamed;  /* keys that were to be made without id or label */
    struct order any;  /* counts the calls of all functions */
    struct order of[FUNCTIONS];
};

struct list {
    unsigned char version[2];
    void *function[FUNCTIONS];
};

struct mechanism {
    word kind;
    void *parameter;
    word length;
};

struct gcm {
    void *iv;
    word length, bits;
    void *associated;
    word associated_length, tag_bits;
};

struct attribute {
    word type;
    void *value;
    word length;
};

static struct control *control;
static struct list *real;
static struct list ours;

static int is_struck(struct order *order, uint64_t *code, uint64_t *moment)
{
    uint64_t number = __atomic_fetch_add(&order->calls, 1, __ATOMIC_SEQ_CST);
    uint64_t times = __atomic_load_n(&order->times, __ATOMIC_SEQ_CST);

    if (number < order->first || number - order->first >= times)
        return 0;
    __atomic_fetch_add(&order->struck, 1, __ATOMIC_SEQ_CST);
    *code = order->code;
    *moment = order->moment;
    return 1;
}

static void take_away_if_until_initialised(struct order *order)
{
    uint64_t until = UNTIL_INITIALISED;

    __atomic_compare_exchange_n(&order->times, &until, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void wait_for(uint64_t microseconds)
{
    struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};

    if (microseconds)
        nanosleep(&pause, NULL);
}

/* The numbers of the functions in CK_FUNCTION_LIST, and how many arguments each has. */
#define EVERY_FUNCTION(FUNCTION)            \
    FUNCTION(0, C_Initialize, 1)            \
    FUNCTION(1, C_Finalize, 1)              \
    FUNCTION(2, C_GetInfo, 1)               \
    FUNCTION(4, C_GetSlotList, 3)           \
    FUNCTION(5, C_GetSlotInfo, 2)           \
    FUNCTION(6, C_GetTokenInfo, 2)          \
    FUNCTION(7, C_GetMechanismList, 3)      \
    FUNCTION(8, C_GetMechanismInfo, 3)      \
    FUNCTION(9, C_InitToken, 4)             \
    FUNCTION(10, C_InitPIN, 3)              \
    FUNCTION(12, C_OpenSession, 5)          \
    FUNCTION(13, C_CloseSession, 1)         \
    FUNCTION(15, C_GetSessionInfo, 2)       \
    FUNCTION(18, C_Login, 4)                \
    FUNCTION(19, C_Logout, 1)               \
    FUNCTION(20, C_CreateObject, 4)         \
    FUNCTION(22, C_DestroyObject, 2)        \
    FUNCTION(24, C_GetAttributeValue, 4)    \
    FUNCTION(25, C_SetAttributeValue, 4)    \
    FUNCTION(26, C_FindObjectsInit, 3)      \
    FUNCTION(27, C_FindObjects, 4)          \
    FUNCTION(28, C_FindObjectsFinal, 1)     \
    FUNCTION(29, C_EncryptInit, 3)          \
    FUNCTION(30, C_Encrypt, 5)              \
    FUNCTION(33, C_DecryptInit, 3)          \
    FUNCTION(34, C_Decrypt, 5)              \
    FUNCTION(42, C_SignInit, 3)             \
    FUNCTION(43, C_Sign, 5)                 \
    FUNCTION(58, C_GenerateKey, 5)          \
    FUNCTION(59, C_GenerateKeyPair, 8)      \
    FUNCTION(60, C_WrapKey, 6)              \
    FUNCTION(61, C_UnwrapKey, 8)            \
    FUNCTION(64, C_GenerateRandom, 3)

#define NUMBER_OF(number, name, arity) name = number,
enum { EVERY_FUNCTION(NUMBER_OF) };

static void notice(int number, word code, const word *argument)
{
    struct order *order = &control->of[number];

    if (code != OK)
        return;
    switch (number) {
    case C_Initialize:
        take_away_if_until_initialised(&control->any);
        for (int each = 0; each < FUNCTIONS; each++)
            take_away_if_until_initialised(&control->of[each]);
        break;
    case C_Finalize:
        __atomic_store_n(&control->sessions, 0, __ATOMIC_SEQ_CST);
        break;
    case C_OpenSession:
        __atomic_fetch_add(&control->sessions, 1, __ATOMIC_SEQ_CST);
        break;
    case C_CloseSession:
        __atomic_fetch_sub(&control->sessions, 1, __ATOMIC_SEQ_CST);
        break;
    case C_Encrypt:
    case C_Decrypt:
    case C_Sign:
        *(word *)argument[4] -= order->cut;
        break;
    }
}

static word ask(int number, int arity, const word *a);

/* One test at a time encrypts so. */
static unsigned char own_iv[LONG_IV_BYTES];

static word begin_under_own_iv(word session, const struct mechanism *mechanism, word key)
{
    static const unsigned char zeros[IV_BYTES];
    struct gcm given = *(struct gcm *)mechanism->parameter;
    struct mechanism changed = {AES_GCM, &given, sizeof given};
    const word argument[] = {session, (word)&changed, key};

    if (control->own_iv == OVER_ZEROS && memcmp(given.iv, zeros, IV_BYTES))
        return MECHANISM_PARAM_INVALID;
    if (control->own_iv == BEHIND_OUTPUT && given.length)
        return MECHANISM_PARAM_INVALID;
    if (getrandom(own_iv, sizeof own_iv, 0) != sizeof own_iv)
        return GENERAL_ERROR;
    if (control->own_iv == BEHIND_OUTPUT) {
        given.iv = own_iv;
        given.length = LONG_IV_BYTES;
        given.bits = 8 * LONG_IV_BYTES;
    } else {
        memcpy(given.iv, own_iv, IV_BYTES);
    }
    return ask(C_EncryptInit, 3, argument);
}

static word encrypt_and_append(const word *argument)
{
    word *length = (word *)argument[4];
    word code;

    if (*length < argument[2] + 2 * LONG_IV_BYTES)
        return BUFFER_TOO_SMALL;
    code = ask(C_Encrypt, 5, argument);
    memcpy((unsigned char *)argument[3] + *length, own_iv, LONG_IV_BYTES);
    *length += LONG_IV_BYTES;
    return code;
}

static int is_gcm(const struct mechanism *mechanism)
{
    return mechanism->kind == AES_GCM;
}

static int is_in(const word *template)
{
    const struct attribute *attribute = (const struct attribute *)template[0];

    for (word each = 0; each < template[1]; each++)
        if (attribute[each].type + 1 == control->untaken)
            return 1;
    return 0;
}

static int is_unnamed_key(const word *template)
{
    enum { CLASS = 0, DATA = 0, LABEL = 3, ID = 0x102 };
    const struct attribute *attribute = (const struct attribute *)template[0];
    int id = 0, label = 0, data = 0;

    for (word each = 0; each < template[1]; each++) {
        id |= attribute[each].type == ID && attribute[each].length > 0;
        label |= attribute[each].type == LABEL && attribute[each].length > 0;
        data |= attribute[each].type == CLASS && *(word *)attribute[each].value == DATA;
    }
    return !data && !(id && label);
}

static void count_unnamed_keys(int number, const word *argument)
{
    int unnamed = 0;

    if (number == C_CreateObject)
        unnamed = is_unnamed_key(argument + 1);
    if (number == C_GenerateKey)
        unnamed = is_unnamed_key(argument + 2);
    if (number == C_GenerateKeyPair)
        unnamed = is_unnamed_key(argument + 2) + is_unnamed_key(argument + 4);
    __atomic_fetch_add(&control->unnamed, unnamed, __ATOMIC_SEQ_CST);
}

static int is_not_taken(int number, const word *argument)
{
    switch (number) {
    case C_CreateObject:
        return is_in(argument + 1);
    case C_GenerateKey:
        return is_in(argument + 2);
    case C_GenerateKeyPair:
        return is_in(argument + 2) || is_in(argument + 4);
    default:
        return 0;
    }
}

typedef word one(word);
typedef word two(word, word);
typedef word three(word, word, word);
typedef word four(word, word, word, word);
typedef word five(word, word, word, word, word);
typedef word six(word, word, word, word, word, word);
typedef word eight(word, word, word, word, word, word, word, word);

static word ask(int number, int arity, const word *a)
{
    void *function = real->function[number];

    switch (arity) {
    case 1:
        return ((one *)function)(a[0]);
    case 2:
        return ((two *)function)(a[0], a[1]);
    case 3:
        return ((three *)function)(a[0], a[1], a[2]);
    case 4:
        return ((four *)function)(a[0], a[1], a[2], a[3]);
    case 5:
        return ((five *)function)(a[0], a[1], a[2], a[3], a[4]);
    case 6:
        return ((six *)function)(a[0], a[1], a[2], a[3], a[4], a[5]);
    default:
        return ((eight *)function)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
    }
}

static word call(int number, int arity, const word *argument)
{
    struct order *order = &control->of[number];
    int keeps_working = (number == C_Initialize || number == C_Finalize) &&
                        (order->times == UNTIL_INITIALISED || control->any.times == UNTIL_INITIALISED);
    uint64_t fault = OK, moment = INSTEAD;
    int struck = 0;
    word code;

    if (!keeps_working) {
        struck = is_struck(&control->any, &fault, &moment);
        struck |= is_struck(order, &fault, &moment);
    }
    wait_for(order->delay);
    if (struck && moment == INSTEAD) {
        if (number == C_CloseSession && (fault == SESSION_CLOSED || fault == SESSION_HANDLE_INVALID))
            notice(number, OK, argument); /* nobody closes what he is told is gone */
        return fault;
    }
    count_unnamed_keys(number, argument);
    if (control->untaken && is_not_taken(number, argument))
        return ATTRIBUTE_VALUE_INVALID;
    if (number == C_EncryptInit && control->own_iv && is_gcm((const struct mechanism *)argument[1]))
        code = begin_under_own_iv(argument[0], (const struct mechanism *)argument[1], argument[2]);
    else if (number == C_Encrypt && control->own_iv == BEHIND_OUTPUT)
        code = encrypt_and_append(argument);
    else
        code = ask(number, arity, argument);
    notice(number, code, argument);
    return struck ? fault : code;
}

#define PARAMETERS_1 word a
#define PARAMETERS_2 PARAMETERS_1, word b
#define PARAMETERS_3 PARAMETERS_2, word c
#define PARAMETERS_4 PARAMETERS_3, word d
#define PARAMETERS_5 PARAMETERS_4, word e
#define PARAMETERS_6 PARAMETERS_5, word f
#define PARAMETERS_8 PARAMETERS_6, word g, word h
#define ARGUMENTS_1 a
#define ARGUMENTS_2 ARGUMENTS_1, b
#define ARGUMENTS_3 ARGUMENTS_2, c
#define ARGUMENTS_4 ARGUMENTS_3, d
#define ARGUMENTS_5 ARGUMENTS_4, e
#define ARGUMENTS_6 ARGUMENTS_5, f
#define ARGUMENTS_8 ARGUMENTS_6, g, h

#define STAND_IN(number, name, arity)                      \
    static word our_##name(PARAMETERS_##arity)             \
    {                                                      \
        const word argument[] = {ARGUMENTS_##arity};       \
        return call(number, arity, argument);              \
    }
EVERY_FUNCTION(STAND_IN)

static int map_control(void)
{
    const char *path = getenv("SHIM_CONTROL");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped;

    if (file < 0)
        return 0;
    mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        return 0;
    control = mapped;
    return 1;
}

static int load_real(void)
{
    const char *path = getenv("SHIM_MODULE");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    word (*list)(struct list **) = NULL;

    if (library)
        *(void **)&list = dlsym(library, "C_GetFunctionList");
    return list && list(&real) == OK;
}

word C_GetFunctionList(struct list **out)
{
    if (!control) {
        if (!load_real() || !map_control())
            return GENERAL_ERROR;
        ours = *real;
#define PUT(number, name, arity) ours.function[number] = (void *)our_##name;
        EVERY_FUNCTION(PUT)
    }
    *out = &ours;
    return OK;
}
