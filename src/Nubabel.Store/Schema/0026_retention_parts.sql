-- Keys of a tenant in the order of their subjects' bytes: a run of retention goes through them part by part, and each part begins where the one before ended.
create index subject_keys_name on nubabel.subject_keys (tenant_id, subject collate "C") include (created) where wrapped is not null;
