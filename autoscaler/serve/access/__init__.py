"""Who may ask, and TLS: certificates, the front proxy, reviews by the API server."""
