"""The analytics page: one card, one module; each makes what its template shows from the answer's figures."""
