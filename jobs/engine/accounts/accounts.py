"""Users and their API keys: created, changed and removed."""

from __future__ import annotations

import redis

from jobs.engine.errors import UserExists
from jobs.engine.settings import Settings

from .api_keys import CONFIGURED, ApiKey, ApiKeys
from .bearers import Bearers
from .credential_cache import CredentialCache
from .credentials import fingerprint, make_api_key
from .gate import Gate
from .passwords import hash_password
from .registration import Registration, check_password
from .sign_in import SignIn
from .tickets import Tickets
from .user import USER_ROLE, User
from .usernames import RESERVED
from .users import Users

ADMIN, ADMIN_EMAIL = "admin", "admin@localhost"


class Accounts:
    """The users in the broker, and the ways in which they prove who they are.

    Every method raises BrokerUnavailable if the broker can't be reached.
    """

    def __init__(self, connection: redis.Redis, settings: Settings, *, cache: CredentialCache | None = None) -> None:
        self._settings = settings
        self._users = Users(connection)
        self._keys = ApiKeys(connection)
        self._cache = cache or CredentialCache()
        #: For programs, which send an API key or a token with each request.
        self.bearers = Bearers(connection, settings, self._cache)
        #: For browsers.
        self.sign_in = SignIn(connection, self._cache)
        #: For streams, whose clients can't send a header.
        self.tickets = Tickets(connection, settings)
        self.gate = Gate(connection, settings)

    def ensure_admin(self) -> str:
        """Create the user `admin` if it is missing, and return its API key.

        The key is ADMIN_API_KEY, or one that is made once and kept in DATA_DIR/admin_api_key.
        A previous one stops working. Any number of processes may call this at the same time.
        """
        key = self._settings.admin_api_key or self._settings.kept_secret("admin_api_key", make_api_key)
        self._users.ensure_admin(ADMIN, ADMIN_EMAIL, CONFIGURED, fingerprint(key))
        self._cache.drop_user(ADMIN)
        return key

    def register(self, username: str, email: str, password: str, roles: tuple[str, ...] = (USER_ROLE,)) -> User:
        """Create a user.

        Raises:
            InvalidRequest: with every fault of the three values.
            UserExists: the name or the address is taken; nothing is stored.
        """
        new = Registration.check(username, email, password)
        if new.username in RESERVED:
            raise UserExists
        return self._users.add(new.username, new.email, hash_password(new.password), roles)

    def find(self, user_id: str) -> User:
        """Return a user. Raises UserNotFound if there is no such user."""
        return self._users.find(user_id)

    def all(self) -> list[User]:
        """Return all users by name, for operators."""
        return self._users.all()

    def set_password(self, user_id: str, password: str) -> User:
        """Change a user's password. Their tokens and sessions stop working; their API keys do not.

        Raises:
            UserNotFound: there is no such user.
            InvalidRequest: the password is too short or too long.
        """
        self._users.find(user_id)
        check_password(password)
        self._users.set_password(user_id, hash_password(password))
        self._cache.drop_user(user_id)
        return self._users.find(user_id)

    def close(self, user_id: str) -> None:
        """Void all credentials of a user, before their jobs are removed. The name stays taken until `delete`.

        Raises:
            UserNotFound: there is no such user.
            Conflict: this is the only administrator.
        """
        self._users.close(user_id)
        self._cache.drop_user(user_id)

    def check_close(self, user_id: str) -> None:
        """Raise what `close` would raise now."""
        self._users.check_close(user_id)

    def delete(self, user_id: str) -> None:
        """Remove a user and their credentials. Raises as `close` does. The client deletes their jobs."""
        self.close(user_id)
        self._users.remove(user_id)

    def create_key(self, user_id: str, name: str) -> tuple[ApiKey, str]:
        """Create an API key. Return its record and the key itself, which can't be read again.

        Raises:
            UserNotFound: there is no such user.
            Conflict: the user has too many keys.
        """
        return self._keys.create(user_id, name)

    def check_create_key(self, user_id: str) -> None:
        """Raise Conflict if `create_key` would now."""
        self._keys.check_create(user_id)

    def keys(self, user_id: str) -> list[ApiKey]:
        """Return a user's API keys, oldest first."""
        return self._keys.of_user(user_id)

    def revoke(self, user_id: str, key_id: str) -> None:
        """Remove an API key. It stops working at once in this process, and within 5 seconds in others.

        Raises:
            ApiKeyNotFound: the user has no such key.
            Conflict: it is the configured key.
        """
        self._cache.drop(self._keys.revoke(user_id, key_id))

    def check_revoke(self, user_id: str, key_id: str) -> None:
        """Raise what `revoke` would raise now."""
        self._keys.check_revoke(user_id, key_id)
