/* The whole test harness: every test program counts its checks and ends with one line, which `make test` adds up. */
#ifndef HRM_TEST_HARNESS_H
#define HRM_TEST_HARNESS_H
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_passed, test_failed;

static int test_summary(void);

/* A check that goes on after a failure, and says where it was and what it saw. HRM_TEST_FIRST, for `make mutants`: it ends. */
#define CHECK(condition, ...) \
    do { \
        if (condition) { \
            test_passed++; \
        } else { \
            test_failed++; \
            fprintf(stderr, "FAILED %s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__); \
            fprintf(stderr, "\n"); \
            if (getenv("HRM_TEST_FIRST")) exit(test_summary()); \
        } \
    } while (0)

/* A call that must succeed, and says hrm's message when it does not. */
#define CHECK_OK(call) CHECK((call) == HRM_OK, "%s", hrm_error_message())
/* A call that must fail with `status` and a message that contains `text`. */
#define CHECK_FAILS(call, status, text)                                                                                        \
    do {                                                                                                                       \
        hrm_status check_status = (call);                                                                                      \
        CHECK(check_status == (status) && strstr(hrm_error_message(), (text)),                                                 \
              "status \"%s\", message \"%s\", expected \"%s\" with \"%s\"", hrm_status_text(check_status),                     \
              hrm_error_message(), hrm_status_text(status), (text));                                                           \
    } while (0)

/* Of a child that leaves by _exit(), for `make coverage`. */
#ifdef HRM_COVERAGE
extern void __gcov_dump(void);
    #define COVERAGE_DUMP() __gcov_dump()
#else
    #define COVERAGE_DUMP() ((void)0)
#endif

/* The last line of every test program; 1 when anything failed, or nothing ran. */
static int test_summary(void)
{
    printf("%d passed, %d failed\n", test_passed, test_failed);
    return test_failed != 0 || test_passed == 0;
}
#endif
