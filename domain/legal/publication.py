"""What a message type must contain before it is published: a commercial e-mail's postal address and way out."""

from domain.content import PROVIDED
from domain.digest_types import as_type
from domain.message_types import MessageType
from domain.values import Channel, MessageClass


class CannotPublish(ValueError):
    """The type would break a rule; the message names the field and the rule."""


def check(definition: MessageType) -> None:
    """Refuse a marketing e-mail that does not show a postal address and a link to opt out (CAN-SPAM).

    Raises:
        CannotPublish: with the place that is at fault.
    """
    if definition.message_class is not MessageClass.MARKETING or Channel.EMAIL not in definition.channels:
        return
    if definition.postal_address is None:
        raise CannotPublish("postal_address: a marketing e-mail shows where its sender is (15 U.S.C. 7704(a)(5))")
    digest = as_type(definition).variants if definition.digest is not None else ()
    for variant in (*definition.variants, *digest):
        for language in (variant.content, *variant.translations.values()):
            for name in PROVIDED if Channel.EMAIL in language else ():
                if f"{{{{ {name} }}}}" not in language[Channel.EMAIL].body:
                    place = f"variants.{variant.id}.content.email.body"
                    raise CannotPublish(f"{place}: must show {{{{ {name} }}}} (15 U.S.C. 7704(a)(3)-(5))")
