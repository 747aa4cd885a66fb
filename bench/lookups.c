// SPDX-License-Identifier: ISC
// lookups DIRECTORY.db: opens the embedded directory as the clerk does, resolves the addresses on its standard input, one a
// line, and prints who gets the mail, as postmap -q - prints what a key leads to.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/directory.h"

int
main(int argc, char **argv)
{
	struct buffer errors = { 0 };
	struct directory *d = argc == 2 ? directory_open(argv[1], &errors) : NULL;
	struct arena *a = arena_open(NULL);
	char *line = NULL;
	size_t room = 0;
	ssize_t got;

	if (d == NULL) {
		fprintf(stderr, "lookups DIRECTORY.db: %.*s\n", (int)errors.len, errors.at);
		return 1;
	}
	while (directory_image_wants(d))
		directory_image_turn(d);
	while ((got = getline(&line, &room, stdin)) > 0) {
		struct directory_target *target;
		size_t count;
		struct bytes key = { line, (size_t)got - (line[got - 1] == '\n') };

		if (directory_resolve(d, key, "+", "", a, &target, &count) == DIRECTORY_OK) {
			fwrite(key.at, 1, key.len, stdout);
			for (size_t i = 0; i < count; i++) {
				putc(i == 0 ? '\t' : ',', stdout);
				fwrite(target[i].address.at, 1, target[i].address.len, stdout);
			}
			putc('\n', stdout);
		}
		arena_clear(a);
	}
	free(line);
	arena_close(&a);
	directory_close(&d);
	return fflush(stdout) == 0 ? 0 : 1;
}
