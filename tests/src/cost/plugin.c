/* QEMU TCG plugin: how often each translation block of the guest's one processor was executed, in a file that others read.
 *
 * Argument path=FILE. The file is a table of struct block, by hash; an entry without instructions is free.
 *
 * QEMU's plugin interface, as far as it is used here, is declared from its documentation: Debian has no package with its header.
 * QEMU 7.2 accepts version 1 alone, QEMU 9 and later version 2 and up. What is used here is the same in all of them. Scoreboards
 * came with version 2, so a QEMU that has them is told 2. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*executed)(unsigned, void *), enum qemu_plugin_cb_flags flags,
                                          void *data);
__attribute__((weak)) void *qemu_plugin_scoreboard_new(size_t size);

EXPORT int qemu_plugin_version;

/* The same as in plugin.rs. */
#define BLOCKS (1 << 16)
static struct block {
    uint64_t address, instructions, executed;
} *blocks;
static unsigned used;

__attribute__((constructor)) static void choose_version(void)
{
    qemu_plugin_version = qemu_plugin_scoreboard_new ? 2 : 1;
}

static void on_execution(unsigned processor, void *block)
{
    ((struct block *)block)->executed++;
}

/* A block may be translated again and again, and keeps its entry. */
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint64_t address = qemu_plugin_tb_vaddr(tb), instructions = qemu_plugin_tb_n_insns(tb);
    uint64_t i = (address * 0x9e3779b97f4a7c15 ^ instructions * 0x632be59bd9b4e019) >> 48;
    while (blocks[i].instructions && (blocks[i].address != address || blocks[i].instructions != instructions))
        i = (i + 1) % BLOCKS;
    if (!blocks[i].instructions) {
        if (++used > BLOCKS / 4 * 3) {
            fprintf(stderr, "the guest has more than %u translation blocks\n", used);
            abort();
        }
        blocks[i].address = address;
        blocks[i].instructions = instructions;
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_execution, QEMU_PLUGIN_CB_NO_REGS, &blocks[i]);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    const char *path = argc == 1 && !strncmp(argv[0], "path=", 5) ? argv[0] + 5 : "";
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (file < 0 || ftruncate(file, BLOCKS * sizeof *blocks)) {
        perror("the plugin's path=FILE");
        return 1;
    }
    blocks = mmap(NULL, BLOCKS * sizeof *blocks, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (blocks == MAP_FAILED) {
        perror("the plugin's path=FILE");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
