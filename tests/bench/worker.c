/* The worker of every benchmark: it takes the time before anything else, reports it, and waits to be killed.
 *
 *     worker FIFO SLOT
 *
 * A report is one write of three 64-bit numbers to the FIFO: slot, pid, CLOCK_MONOTONIC in nanoseconds. Shorter than
 * PIPE_BUF, so reports of many workers do not mix (pipe(7)).
 *
 * Compiled as usual, the time is taken in the first line of main(), after the dynamic linker and the C library have
 * done their work. With -DBARE -static -nostdlib it is taken by the first instructions of the process.
 */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>

#ifndef BARE

#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc < 3)
        return 2;
    uint64_t report[3] = {strtoull(argv[2], NULL, 10), (uint64_t)getpid(), now.tv_sec * 1000000000ULL + now.tv_nsec};
    int fifo = open(argv[1], O_WRONLY | O_CLOEXEC);
    if (fifo < 0 || write(fifo, report, sizeof report) != sizeof report)
        return 1;
    close(fifo);
    for (;;)
        pause();
}

#else

#include <sys/syscall.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x0, sp\n bl run\n");
#else
#error "no bare worker for this architecture"
#endif

/* `stack` as the kernel leaves it at execve: argc, argv[0], argv[1], ... */
__attribute__((used, noreturn)) void run(uint64_t *stack)
{
    struct timespec now;
    call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0);
    if (stack[0] < 3)
        call(SYS_exit, 2, 0, 0, 0);
    uint64_t report[3];
    report[0] = 0;
    for (const char *digit = (const char *)stack[3]; *digit != 0; digit++)
        report[0] = report[0] * 10 + (uint64_t)(*digit - '0');
    report[1] = (uint64_t)call(SYS_getpid, 0, 0, 0, 0);
    report[2] = (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
    long fifo = call(SYS_openat, AT_FDCWD, (long)stack[2], O_WRONLY | O_CLOEXEC, 0);
    if (fifo < 0 || call(SYS_write, fifo, (long)report, sizeof report, 0) != sizeof report)
        call(SYS_exit, 1, 0, 0, 0);
    call(SYS_close, fifo, 0, 0, 0);
    for (;;)
        call(SYS_ppoll, 0, 0, 0, 0);
}

#endif
