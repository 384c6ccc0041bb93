-- The trail, past a year
-- older-than: 365 days
-- index: idx_audit_timestamp
DELETE FROM audit
 WHERE timestamp BETWEEN '' AND :before AND julianday(timestamp) < julianday(:before);
