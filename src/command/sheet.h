/*
 * sheet -- files of accounts and aliases, understood: CSV, passwd-file, aliases, virtual
 *
 * From:     command import
 * Touches:  its text alone; views live as long as the sheet
 *
 * sheet_users()    a passwd-file where the first line that is one has colons and no comma, semicolon or tab
 *                  before them; else CSV (rfc4180), its first line the names of the columns.  A password of a CSV file that
 *                  looks like a hash is wrong, unless all are `literal`.
 * sheet_aliases()  aliases(5) and virtual(5), told apart line by line.
 * What is wrong is said as FILE:LINE in *errors and counted in `wrong`; the other rows are there.
 * A name without domain gets `domain`; without that it is wrong.
 */
#ifndef COMMAND_SHEET_H
#define COMMAND_SHEET_H

#include "base/arena.h"
#include "base/buffer.h"
#include "directory/password.h"

struct sheet_row {
	uint32_t      line;
	bool          is_account;
	struct bytes  address, password, hash, quota;   /* of an account: password or hash   */
	struct bytes *target;                           /* of an alias; an account: its aliases */
	size_t        targets;
	bool          hashed;                           /* record is set, by the command      */
	struct password_record record;
};
struct sheet {
	struct arena     *life;
	struct sheet_row *row;
	size_t            count, room;
	uint32_t          wrong;
};
struct sheet *sheet_users(struct bytes text, const char *file, const char *domain, bool literal, struct buffer *errors);
struct sheet *sheet_aliases(struct bytes text, const char *file, const char *domain, struct buffer *errors);
void sheet_close(struct sheet **);

#endif
