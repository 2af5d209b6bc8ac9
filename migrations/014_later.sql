-- A statement that travels with the commit cannot be looked at before it: where
-- none_is_a_race, also that another transaction used all of the references ends this
-- one, which finds them when it runs again.
create function lost_reference_race(written bigint, wanted bigint, none_is_a_race boolean) returns bigint language plpgsql as $$
begin
  if written = 0 and wanted > 0 and none_is_a_race then
    raise exception 'another transaction used these % references', wanted using errcode = 'serialization_failure';
  end if;
  return public.lost_reference_race(written, wanted);
end $$;
