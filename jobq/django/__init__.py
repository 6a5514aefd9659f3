"""jobq as an application of Django: put "jobq.django" into INSTALLED_APPS."""
