-- Record in the audit trail what was done to a memory, which is found by its version
INSERT INTO audit (timestamp, agent_id, task_id, action_type, action_data, memory_operation_type,
                   memory_namespace, memory_entry_id)
VALUES (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'), :agent_id, :task_id, :action_type, :action_data,
        :memory_operation_type, :memory_namespace,
        (SELECT id
           FROM memory_entries
          WHERE namespace = :memory_namespace AND key = :key AND version = :version));
