/* main -- the one program: a role when the postmaster calls it so, else a command */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "command/command.h"
#include "role/house.h"

static const struct role_card *const cards[ROLES] = {
	[RECEIVER] = &receiver_card,   [LOGIN] = &login_card,   [VERIFIER] = &verifier_card,
	[QUEUE] = &queue_card,         [KEEPER] = &keeper_card, [CLERK] = &clerk_card,
	[SIGNER] = &signer_card,       [PAM] = &pam_card,       [PROXYMAP] = &proxymap_card,
	[POLICY] = &policy_card,       [SENDER] = &sender_card, [CHRONICLE] = &chronicle_card,
	[CERTIFIER] = &certifier_card, [GUIDE] = &guide_card,
};

/* mansio: receiver 0 of 2 */
static int
live(char **argv)
{
	uint64_t index, of;
	char     name[16];

	for (enum role role = POSTMASTER + 1; role < COMMAND; role++) {
		if (strcmp(argv[1], role_names[role]) != 0)
			continue;
		if (!bytes_number(bytes_of(argv[2]), &index) ||
		    !bytes_number(bytes_of(argv[4]), &of) ||
		    (index >= of && (role != KEEPER || (index & KEEPER_OF_USER) == 0)))
			break;
		(void)snprintf(name, sizeof name, "mansio/%s", argv[1]);
		(void)prctl(PR_SET_NAME, name, 0, 0, 0);
		return house_live(cards[role], role, (uint32_t)index, (uint32_t)of);
	}
	return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[0], "mansio:") == 0)
		return live(argv);
	return command_main(argc, argv);
}
