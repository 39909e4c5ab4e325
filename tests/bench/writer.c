/* The writer of the log benchmarks: lines of 100 bytes to its standard output, as fast as it can.
 *
 *     writer FIFO SLOT GATE BYTES BLOCK
 *
 * It reports its birth into the FIFO as worker.c does, and waits until somebody opens the FIFO named GATE for writing.
 * Then it writes BYTES (0: for ever), BLOCK at a time, and waits to be killed. A BLOCK of 100 is a line; a larger one
 * cuts lines, as the C library does when standard output is no terminal. Two more reports: one just before its first
 * write, and one when its last write has returned.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, LARGEST_BLOCK = 1024 * 1024 };

static char text[LINE + LARGEST_BLOCK];

static void report(int fifo, uint64_t slot)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t words[3] = {slot, (uint64_t)getpid(), now.tv_sec * 1000000000ULL + now.tv_nsec};
    if (write(fifo, words, sizeof words) != sizeof words)
        _exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    uint64_t slot = strtoull(argv[2], NULL, 10), bytes = strtoull(argv[4], NULL, 10);
    size_t block = strtoul(argv[5], NULL, 10);
    int fifo = open(argv[1], O_WRONLY | O_CLOEXEC);
    if (fifo < 0 || block == 0 || block > LARGEST_BLOCK)
        return 2;
    memset(text, '.', sizeof text);
    for (size_t end = LINE; end <= sizeof text; end += LINE)
        text[end - 1] = '\n';
    report(fifo, slot);
    if (open(argv[3], O_RDONLY | O_CLOEXEC) < 0)
        return 1;
    report(fifo, slot);
    for (uint64_t written = 0; bytes == 0 || written < bytes;) {
        uint64_t left = bytes == 0 ? block : bytes - written;
        ssize_t taken = write(STDOUT_FILENO, text + written % LINE, left < block ? left : block);
        if (taken < 0)
            return 1;
        written += (uint64_t)taken;
    }
    report(fifo, slot);
    for (;;)
        pause();
}
