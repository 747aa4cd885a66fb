/*
 * names -- the resolver of a role that may ask one
 *
 * house_resolver()  one that asks as the resource "resolver" says; NULL when no names are asked, or it cannot be (said in the
 *     log).  To be closed and opened again when the resource is new.
 */
#ifndef ROLE_NAMES_H
#define ROLE_NAMES_H

#include "dns/resolver.h"
#include "role/house.h"

struct resolver *house_resolver(struct house *);

#endif
