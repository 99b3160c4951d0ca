"""How people write down whom they mean: every form in which a name was ever pasted into a setting."""

from __future__ import annotations

from typing import Final

DID: Final = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
HANDLE: Final = "alice-b.example.com"


def spellings_of(name: str) -> list[str]:
    """Give those that a DID and a handle have in common."""
    return [
        name,
        name.upper(),
        f"  {name}  ",
        f"\t{name}\r\n",
        f"\u00a0{name}\u00a0",
        f"\ufeff{name}",
        f"\u200b{name}\u200b",
        f"\u202a{name}\u202c",
        f"\u2068@{name}\u2069",
        f"{name[:9]}\u00ad{name[9:]}",
        f"@{name}",
        f"@{name.title()}",
        f'"{name}"',
        f"'{name}'",
        f"“{name}”",
        f"«@{name}»",
        f"`{name}`",
        f"<{name}>",
        f"({name})",
        f"**{name}**",
        f"{name}.",
        f"{name},",
        f"{name};",
        f'"{name}",',
        f"{name}...",
        f"{name}/",
        f'["{name}"]',
        f"['{name}']",
        f"at://{name}",
        f"at://{name}/",
        f"AT://{name.upper()}",
        f"at://{name}/app.bsky.actor.profile/self",
        f"https://bsky.app/profile/{name}",
        f"https://bsky.app/profile/{name}/",
        f"https://bsky.app/profile/{name}?ref=share&x=1",
        f"https://bsky.app/profile/{name}#top",
        f"https://bsky.app/profile/{name}/post/3l7cddlz5ja24",
        f"https://bsky.app/profile/{name}/lists/3l7cddlz5ja24?x",
        f"<https://bsky.app/profile/{name}>",
        f"HTTPS://BSKY.APP/PROFILE/{name.upper()}",
        f"http://www.bsky.app/profile/{name}",
        f"bsky.app/profile/{name}",
        f"//bsky.app/profile/{name}",
        f"https://bsky.app/profile/@{name}",
        f"https://bsky.app/profile/%40{name}",
        f"https://staging.bsky.app/profile/{name}.",
    ]


DID_SPELLINGS: Final = [
    *spellings_of(DID),
    DID.replace(":", "%3A"),
    f"https://bsky.app/profile/{DID.replace(':', '%3a')}",
    f"https://plc.directory/{DID}",
    f"https://plc.directory/{DID}/log",
    DID.replace("did", "DID"),
    DID.replace(":", "\uff1a"),
]

HANDLE_SPELLINGS: Final = [
    *spellings_of(HANDLE),
    f"@@{HANDLE}",
    f"\uff20{HANDLE}",
    HANDLE.replace(".", "\u3002"),
    f"https://{HANDLE}",
    f"https://{HANDLE}/",
    f"\u200e@{HANDLE}",
]

REFUSED: Final = [
    "alice",
    "@alice",
    "@",
    "@alice-b .example.com",
    "Alice B",
    "alice-b.example.com@bridge.example.com",
    "mailto:alice-b@example.com",
    "alice@example.com",
    "did:plc:",
    "did:plc:ewvi7nxzyoun6zhxrhs64oi",
    "did:plc:ewvi7nxzyoun6zhxrhs64oizz",
    "did:plc:0wvi7nxzyoun6zhxrhs64oiz",
    "plc:ewvi7nxzyoun6zhxrhs64oiz",
    "ewvi7nxzyoun6zhxrhs64oiz",
    "https://bsky.app/profile/",
    "https://bsky.app/profile/alice",
    "https://bsky.app/starter-pack/alice-b.example.com/3l7cddlz5ja24",
    "https://go.bsky.app/AbCdEf",
    "https://example.com/alice",
    "https://alice:secret@bsky.app/profile/alice-b.example.com",
    "https://bsky.app:99999/profile/alice-b.example.com",
    "https://[::1/profile/x",
    "at://",
    "ftp://alice-b.example.com",
    "*",
    "?",
    "-",
    "{name}",
    "null",
    "12",
]
