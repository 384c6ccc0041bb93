-- Append an event to a session, and merge values into its state
-- index: sqlite_autoindex_sessions_1
UPDATE sessions
   SET events = json_insert(events, '$[#]', json(:event)),
       state = iif(:state IS NULL, state, json_patch(state, :state)),
       last_update_time = CURRENT_TIMESTAMP
 WHERE id = :session_id
RETURNING json_array_length(events) AS number;
