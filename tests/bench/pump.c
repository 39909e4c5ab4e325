/* The pump: the least that takes a writer's output away. Copies standard input to standard output, 64 KiB at a time,
 * until its end: what `cat` does, the same everywhere.
 */
#include <unistd.h>

int main(void)
{
    static char block[65536];
    ssize_t size;
    while ((size = read(STDIN_FILENO, block, sizeof block)) > 0)
        for (ssize_t done = 0, taken; done < size; done += taken)
            if ((taken = write(STDOUT_FILENO, block + done, (size_t)(size - done))) < 0)
                return 1;
    return size < 0;
}
