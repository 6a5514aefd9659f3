-- Which database this is, and on which server: what every role may see. A server is told from another by the moment in
-- which it started; its address is for the words of a warning, and for a server that was restarted between two looks.
-- As text, since the connection may be of any driver.
SELECT current_database()::text,
       extract(epoch FROM pg_postmaster_start_time())::text,
       host(inet_server_addr()),
       inet_server_port()::text
