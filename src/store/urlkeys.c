#include "store/urlkeys.h"

#include "base/random.h"
#include "store/inside.h"

#include <errno.h>
#include <string.h>

static sqlite3_stmt *
urlkey_ready(struct account *a, const struct mailbox *m, enum statement which)
{
	sqlite3_stmt *s = index_ready(a->index, which);
	uint64_t      owner = account_id(mailbox_account(m));

	if (s == NULL)
		return NULL;
	(void)sqlite3_bind_int64(s, 1, owner == a->id ? 0 : (int64_t)owner);
	(void)sqlite3_bind_int64(s, 2, (int64_t)mailbox_id(m));
	return s;
}

int
urlkey_read(struct account *a, const struct mailbox *m, unsigned char out[static URLKEY_LEN])
{
	sqlite3_stmt *s;
	struct bytes  key;
	int           more;

	if (a->refused != 0)
		return a->refused;
	if ((s = urlkey_ready(a, m, URLKEY_GET)) == NULL)
		return index_why(a->index);
	if ((more = index_row(a->index, s)) != 1)
		return more == 0 ? ENOENT : index_why(a->index);
	key = index_blob(s, 0);
	if (key.len == URLKEY_LEN)
		memcpy(out, key.at, URLKEY_LEN);
	(void)sqlite3_reset(s);
	return key.len == URLKEY_LEN ? 0 : EBADMSG;
}

int
urlkey_make(struct account *a, const struct mailbox *m, unsigned char out[static URLKEY_LEN])
{
	sqlite3_stmt *s;
	int           why = account_change(a);

	if (why != 0)
		return why;
	random_fill(out, URLKEY_LEN);
	if ((s = urlkey_ready(a, m, URLKEY_PUT)) == NULL)
		return account_fail(a, index_why(a->index));
	(void)sqlite3_bind_blob(s, 3, out, URLKEY_LEN, SQLITE_STATIC);
	return (why = index_do(a->index, s)) == 0 ? 0 : account_fail(a, why);
}

int
urlkey_forget(struct account *a)
{
	sqlite3_stmt *s;
	int           why = account_change(a);

	if (why != 0)
		return why;
	if ((s = index_ready(a->index, URLKEY_FORGET)) == NULL)
		return account_fail(a, index_why(a->index));
	return (why = index_do(a->index, s)) == 0 ? 0 : account_fail(a, why);
}
