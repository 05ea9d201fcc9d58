/* A PKCS#11 module that stands before a real one and gives it memory of its own.
 *
 * What is allocated while a call of the real module runs, by it or by any library that it calls, lies
 * in one mapping that the kernel calls "memfd:memory of the module"; all else of the process stays
 * where the C library puts it. So whoever scans the process sees whose a copy is. What the module
 * frees stays as it is until the module itself takes it again: nothing that it leaves is covered up.
 *
 * $OWN_MEMORY_OF is the real module. The program is started with this library in LD_PRELOAD, so that
 * its malloc stands before everybody's.
 *
 * Build: cc -shared -fPIC -o own_memory.so own_memory.c -ldl
 */

#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef unsigned long word; /* CK_ULONG, CK_RV, a handle or a pointer: all of one width */

enum { FUNCTIONS = 68, GET_FUNCTION_LIST = 3, GENERAL_ERROR = 5 };
enum { SIZES = 40, SMALLEST = 5 };
#define MEMORY_BYTES ((size_t)256 << 20)

struct list {
    unsigned char version[2];
    void *function[FUNCTIONS];
};

struct block {
    struct block *next; /* of the free ones of this size */
    uint64_t exponent;  /* 2 to it are its bytes, these two words included */
    unsigned char content[];
};

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

static __thread int inside __attribute__((tls_model("initial-exec")));
static unsigned char *memory, *unused;
static struct block *free_ones[SIZES];
static char lock;
static struct list *real;
static struct list ours;

static int is_modules(const void *pointer)
{
    const unsigned char *at = pointer;

    return memory && at >= memory && at < memory + MEMORY_BYTES;
}

static struct block *block_of(void *content)
{
    return (struct block *)((unsigned char *)content - sizeof(struct block));
}

static size_t room_of(const struct block *block)
{
    return ((size_t)1 << block->exponent) - sizeof(struct block);
}

static void *take(size_t length)
{
    uint64_t exponent = SMALLEST;
    struct block *block;

    while (((size_t)1 << exponent) - sizeof(struct block) < length)
        exponent++;
    while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
        sched_yield();
    block = free_ones[exponent];
    if (block) {
        free_ones[exponent] = block->next;
    } else if (((size_t)1 << exponent) <= (size_t)(memory + MEMORY_BYTES - unused)) {
        block = (struct block *)unused;
        block->exponent = exponent;
        unused += (size_t)1 << exponent;
    }
    __atomic_clear(&lock, __ATOMIC_RELEASE);
    return block ? block->content : NULL;
}

static void give_back(void *content)
{
    struct block *block = block_of(content);

    while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
        sched_yield();
    block->next = free_ones[block->exponent];
    free_ones[block->exponent] = block;
    __atomic_clear(&lock, __ATOMIC_RELEASE);
}

void *malloc(size_t length)
{
    return inside ? take(length) : __libc_malloc(length);
}

void free(void *pointer)
{
    if (is_modules(pointer))
        give_back(pointer);
    else
        __libc_free(pointer);
}

void *calloc(size_t count, size_t each)
{
    size_t length;
    void *content;

    if (!inside)
        return __libc_calloc(count, each);
    if (__builtin_mul_overflow(count, each, &length))
        return NULL;
    content = take(length);
    return content ? memset(content, 0, length) : NULL;
}

void *realloc(void *pointer, size_t length)
{
    void *content;
    size_t room;

    if (pointer ? !is_modules(pointer) : !inside)
        return __libc_realloc(pointer, length);
    room = pointer ? room_of(block_of(pointer)) : 0;
    if (pointer && length <= room)
        return pointer;
    content = take(length);
    if (content && pointer) {
        memcpy(content, pointer, room);
        give_back(pointer);
    }
    return content;
}

size_t malloc_usable_size(void *pointer)
{
    static size_t (*others)(void *);

    if (is_modules(pointer))
        return room_of(block_of(pointer));
    if (!others)
        *(void **)&others = dlsym(RTLD_NEXT, "malloc_usable_size");
    return others(pointer);
}

typedef word eight(word, word, word, word, word, word, word, word);

/* Eight arguments for every function: those that it does not have are not looked at. */
#define OF(number)                                                                      \
    static word our_##number(word a, word b, word c, word d, word e, word f, word g, word h) \
    {                                                                                   \
        word code;                                                                      \
        inside++;                                                                       \
        code = ((eight *)real->function[number])(a, b, c, d, e, f, g, h);               \
        inside--;                                                                       \
        return code;                                                                    \
    }
#define EVERY_NUMBER(DO)                                                                      \
    DO(0) DO(1) DO(2) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14)  \
    DO(15) DO(16) DO(17) DO(18) DO(19) DO(20) DO(21) DO(22) DO(23) DO(24) DO(25) DO(26)       \
    DO(27) DO(28) DO(29) DO(30) DO(31) DO(32) DO(33) DO(34) DO(35) DO(36) DO(37) DO(38)       \
    DO(39) DO(40) DO(41) DO(42) DO(43) DO(44) DO(45) DO(46) DO(47) DO(48) DO(49) DO(50)       \
    DO(51) DO(52) DO(53) DO(54) DO(55) DO(56) DO(57) DO(58) DO(59) DO(60) DO(61) DO(62)       \
    DO(63) DO(64) DO(65) DO(66) DO(67)
EVERY_NUMBER(OF)

static void *mapped(void)
{
    int file = memfd_create("memory of the module", MFD_CLOEXEC);
    void *start = MAP_FAILED;

    if (file >= 0 && ftruncate(file, MEMORY_BYTES) == 0)
        start = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    return start == MAP_FAILED ? NULL : start;
}

static word load_real(void)
{
    const char *path = getenv("OWN_MEMORY_OF");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    word (*list)(struct list **) = NULL;

    if (library)
        *(void **)&list = dlsym(library, "C_GetFunctionList");
    return list ? list(&real) : GENERAL_ERROR;
}

word C_GetFunctionList(struct list **out)
{
    if (!memory) {
        word code;

        memory = unused = mapped();
        if (!memory)
            return GENERAL_ERROR;
        inside++;
        code = load_real();
        inside--;
        if (code)
            return code;
        ours = *real;
#define PUT(number) ours.function[number] = (void *)our_##number;
        EVERY_NUMBER(PUT)
        ours.function[GET_FUNCTION_LIST] = (void *)C_GetFunctionList;
    }
    *out = &ours;
    return 0;
}
