/* What UIDL calls a message, in the forms that Dovecot's pop3_uidl_format has in tutorials. */
#include "unit.h"

#include <string.h>

#include "access/pop3/uniqueid.h"

static const struct {
	const char *why, *form;
	uint32_t    uid, uidvalidity;
	const char *id; /* NULL: no form */
} rows[] = {
	{ "Dovecot's own", "%08Xu%08Xv", 17, 0x65f00a21, "0000001165f00a21" },
	{ "the largest", "%08Xu%08Xv", UINT32_MAX, UINT32_MAX, "ffffffffffffffff" },
	{ "UW-IMAP, as Dovecot's example has it", "%08Xv%08Xu", 17, 0x65f00a21, "65f00a2100000011" },
	{ "Courier's and new Cyrus'", "%v-%u", 17, 1710230049, "1710230049-17" },
	{ "old Cyrus'", "%u", 4294967295, 1, "4294967295" },
	{ "hexadecimal without a width", "%Xv.%Xu", 255, 16, "10.ff" },
	{ "a width that is too small cuts nothing off", "%02u", 1234, 1, "1234" },
	{ "a percent sign", "%%%u", 1, 1, "%1" },
	{ "words", "UID%u-%v", 5, 6, "UID5-6" },
	{ "longer than can be", "%050u.%08Xv........................................", 1, 1, NULL },
	{ "rfc1939:7 no more than 70", "%070u", 1, 1, "0000000000000000000000000000000000000000000000000000000000000000000001" },
	{ "one more", "%071u", 1, 1, NULL },
	{ "many zeroes", "%099999999999999999999u", 1, 1, NULL },
	{ "not unique", "%v", 1, 1, NULL },
	{ "nothing", "", 1, 1, NULL },
	{ "only words", "uid", 1, 1, NULL },
	{ "a file's name", "%f", 1, 1, NULL },
	{ "a hash", "%m", 1, 1, NULL },
	{ "a guid", "%g", 1, 1, NULL },
	{ "a width that cuts", "%2u", 1, 1, NULL },
	{ "half a code", "%u%", 1, 1, NULL },
	{ "half a width", "%u%08", 1, 1, NULL },
	{ "a blank", "%u %v", 1, 1, NULL },
	{ "beyond ASCII", "%u\303\251", 1, 1, NULL },
	{ "a line", "%u\n", 1, 1, NULL },
};

static void
test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char   *wrong = uniqueid_complain(rows[i].form);
		struct buffer id = { 0 };
		HOLDS(rows[i].why, (wrong == NULL) == (rows[i].id != NULL));
		if (wrong != NULL)
			continue;
		uniqueid_say(&id, rows[i].form, rows[i].uid, rows[i].uidvalidity);
		SAME(rows[i].why, buffer_bytes(&id), bytes_of(rows[i].id));
		buffer_free(&id);
	}
}

UNIT(test_forms)
