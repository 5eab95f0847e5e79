"""Which names still mean the image that a container was made from: docker shows the image's id when one does not."""

from ocirun.errors import InvalidError, OcirunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.oci.image_documents import Descriptor

_HEX = frozenset("0123456789abcdef")


class ImageNames:
    """The names of the store at one moment; index.json is read when the first one is asked for, and only once."""

    __slots__ = ("_descriptors", "_engine", "_ids")

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._descriptors: list[Descriptor] | None = None
        self._ids: dict[str, str] = {}

    def means(self, text: str, image_id: str) -> bool:
        """Whether `text`, as it was typed, leads to the image `image_id`; yes when the index cannot be read."""
        digits = text.removeprefix("sha256:")
        if digits and _HEX.issuperset(digits) and image_id.partition(":")[2].startswith(digits):
            return True
        if text not in self._ids:
            try:
                self._ids[text] = self._look_up(text)
            except OcirunError:
                # A list of containers is no place to complain about the images.
                return True
        return self._ids[text] == image_id

    def _look_up(self, text: str) -> str:
        from ocirun.oci.reference import Reference

        store = self._engine.store
        if self._descriptors is None:
            self._descriptors = store.descriptors()
        try:
            reference = Reference.parse(text)
        except InvalidError:
            return ""
        descriptor = store.find_descriptor(self._descriptors, reference)
        return store.image_id(descriptor) if descriptor is not None else ""
