-- One metric over time, newest first
-- index: idx_metrics_name_timestamp
SELECT timestamp, metric_value, labels
  FROM metrics
 WHERE metric_name = :metric_name AND timestamp >= :since
 ORDER BY timestamp DESC;
