"""What GitHub's answers say of accounts and organizations: every member that its schemas require.

Schemas simple-user, organization-simple and organization-full of docs.github.com/rest, version 2026-03-10.
"""

from typing import Any

_OF_USERS = (
    "followers",
    "gists",
    "starred",
    "subscriptions",
    "orgs",
    "repos",
    "events",
    "received_events",
    "following",
)
_OF_AN_ORGANIZATION = ("repos", "events", "hooks", "issues", "members", "public_members")


def simple_user(base: str, login: str, number: int) -> dict[str, Any]:
    """An account; `base` is the URL of the API."""
    url = f"{base}/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"{base}/u/{number}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{base}/{login}",
        **{f"{'organizations' if place == 'orgs' else place}_url": f"{url}/{place}" for place in _OF_USERS},
        "type": "User",
        "user_view_type": "public",
        "site_admin": False,
    }


def simple_organization(base: str, login: str, number: int) -> dict[str, Any]:
    """An organization as other answers mention it."""
    url = f"{base}/orgs/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"O_{number}",
        "url": url,
        **{f"{place}_url": f"{url}/{place}" for place in _OF_AN_ORGANIZATION},
        "avatar_url": f"{base}/u/{number}?v=4",
        "description": None,
    }


def full_organization(base: str, login: str, number: int) -> dict[str, Any]:
    """An organization as everybody may see it."""
    return simple_organization(base, login, number) | {
        "name": login,
        "html_url": f"{base}/{login}",
        "type": "Organization",
        "is_verified": False,
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": 3,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": "2021-04-06T08:15:30Z",
        "updated_at": "2026-11-02T14:03:09Z",
        "archived_at": None,
    }
