"""What the tests need to use Switchboard as anybody outside would: official clients and nothing of ours."""
