/* A system clock under a test's control. Loaded before the C library (LD_PRELOAD), it replaces
 * CLOCK_REALTIME: the first reading is CLOCK_STARTS, in microseconds since 1970, and each later one
 * adds CLOCK_STEP, which may be 0 or negative. The monotonic clock is left alone.
 */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long number(const char *name) {
    const char *text = getenv(name);
    return text ? atoll(text) : 0;
}

static struct timespec reading(void) {
    static long long readings;
    long long now = number("CLOCK_STARTS") +
                    number("CLOCK_STEP") * __atomic_fetch_add(&readings, 1, __ATOMIC_RELAXED);
    if (now < 0)
        now = 0; /* a system clock is never before 1970 */
    return (struct timespec){.tv_sec = now / 1000000, .tv_nsec = now % 1000000 * 1000};
}

int clock_gettime(clockid_t clock, struct timespec *result) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return (int)syscall(SYS_clock_gettime, clock, result);
    *result = reading();
    return 0;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone) {
    (void)zone;
    struct timespec now = reading();
    *result = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *result) {
    time_t now = reading().tv_sec;
    if (result)
        *result = now;
    return now;
}
