"""The words of the OCI specifications: Reference, Digest, Platform, media types, typed documents."""
