-- How many events a session has; NULL if they are not an array
-- index: sqlite_autoindex_sessions_1
SELECT iif(json_type(events) = 'array', json_array_length(events), NULL) AS number
  FROM sessions
 WHERE id = :session_id;
