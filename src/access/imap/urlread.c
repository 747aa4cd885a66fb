#include "access/imap/urlread.h"

#include <errno.h>

#include "access/imap/reach.h"
#include "access/imap/urlauth.h"
#include "base/random.h"

bool
urlread_names(const struct imap_url *url)
{
	return url->user.len > 0 && url->uid != 0 && url->mailbox.len > 0 && url->server.len > 0 &&
	       bytes_is(url->mechanism, "INTERNAL");
}

/* NULL where the token is not the one its key makes.  What is not there has a key, too, which signed nothing: every
   refusal takes the same way (rfc4467:6). */
static struct mailbox *
signed_mailbox(struct imap_service *service, const struct access_facts *reads,
               const struct imap_url *url, struct arena *scratch)
{
	struct imap     owner = { .service = service, .scratch = scratch, .facts = *reads };
	const char     *name = mailbox_name_of(url->mailbox, scratch, true);
	struct mailbox *m = NULL;
	unsigned char   key[URLKEY_LEN];
	int             why = ENOENT;

	random_fill(key, sizeof key);
	owner.account =
		reads->account == 0 ? NULL : account_take(service->store, reads->account, &why);
	if (owner.account != NULL && name != NULL)
		m = reach_take(&owner, name, RIGHT_READ, &why);
	if (m != NULL)
		why = urlkey_read(owner.account, m, key);
	if (!urlauth_holds(url, key) || why != 0)
		mailbox_drop(&m);
	account_drop(&owner.account);
	return m;
}

int
urlread_open(struct imap_service *service, const struct access_facts *reads,
             const struct imap_url *url, struct arena *scratch, struct resource *out)
{
	struct mailbox *m = signed_mailbox(service, reads, url, scratch);
	int             why;

	if (m == NULL)
		return EACCES;
	why = resource_open(out, m, url, scratch);
	if (why != 0)
		resource_close(out);
	return why;
}
