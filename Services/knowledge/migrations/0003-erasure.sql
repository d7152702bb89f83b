-- What erasing a person looks for.
CREATE INDEX business_config_versions_by_person ON business_config_versions (changed_by);
